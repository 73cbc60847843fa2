import { describe, expect, expectTypeOf, it } from "vitest";
import { defaulted, flag, seconds, type VariablesOf } from "../../../src/config/kinds.ts";
import type { PoolGroups } from "../../../src/config/settings-in-force.ts";
import { accountVariables, ownVariables } from "../../../src/config/pool-variables.ts";
import {
  ACCOUNT_SETTINGS,
  type Merged,
  type OwnSettingGroups,
  POOL_SETTINGS,
  type PoolSettings,
} from "../../../src/contract/pool-settings.ts";
import type { PolicySettings } from "../../../src/policy/settings.ts";

function namesIn(groups: Readonly<Record<string, object>>): string[] {
  return Object.values(groups).flatMap((group) => Object.keys(group));
}

describe("the contract's settings and the table of their variables", () => {
  it("have the same names, each in one group", () => {
    expect(namesIn(ownVariables)).toEqual(POOL_SETTINGS);
    expect(namesIn(accountVariables)).toEqual(ACCOUNT_SETTINGS);
    const names = [...POOL_SETTINGS, ...ACCOUNT_SETTINGS];
    expect(new Set(names).size).toBe(names.length);
  });

  it("do not compile where the table lacks a name, adds one or gives one another type", () => {
    const { scaling, timeouts, alerts, breaker, sickWorkers, launch, placement } = ownVariables;
    const { maxWorkerFailureRate, failureWindowMinutes, minWorkersForRateCheck } = breaker;
    const coldStartSec = defaulted("COLD_START_SEC", seconds(0), "0", "A setting that the contract does not have.");
    type Own = VariablesOf<OwnSettingGroups>;

    const tables: unknown[] = [
      { scaling, timeouts, alerts, breaker, sickWorkers, launch, placement } satisfies Own,
      { maxWorkerFailureRate, failureWindowMinutes, minWorkersForRateCheck } satisfies Own["breaker"],
      // @ts-expect-error a group is missing
      { scaling, timeouts, alerts, sickWorkers, launch, placement } satisfies Own,
      // @ts-expect-error a group is not in the contract
      { scaling, timeouts, alerts, breaker, sickWorkers, launch, placement, boot: { coldStartSec } } satisfies Own,
      // @ts-expect-error a name is missing
      { maxWorkerFailureRate, failureWindowMinutes } satisfies Own["breaker"],
      // @ts-expect-error a name is not in the contract
      { maxWorkerFailureRate, failureWindowMinutes, minWorkersForRateCheck, coldStartSec } satisfies Own["breaker"],
      {
        maxWorkerFailureRate,
        failureWindowMinutes,
        // @ts-expect-error a flag is not a number
        minWorkersForRateCheck: defaulted("MIN_WORKERS_FOR_RATE_CHECK", flag(), "false", ""),
      } satisfies Own["breaker"],
    ];
    expect(tables).toHaveLength(7);
  });

  it("give each value the same type, and decisions every value that they ask for", () => {
    expectTypeOf<Merged<PoolGroups>>().toEqualTypeOf<PoolSettings>();
    expectTypeOf<PoolSettings>().toExtend<PolicySettings>();
  });
});
