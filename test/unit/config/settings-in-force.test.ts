import { describe, expect, it } from "vitest";
import { ConfigError, loadConfig } from "../../../src/config/config.ts";
import { settingFacts } from "../../../src/config/setting-facts.ts";
import { environmentSettings, parseOwnSettings, settingsInForce } from "../../../src/config/settings-in-force.ts";
import { ACCOUNT_SETTINGS, POOL_SETTINGS } from "../../../src/contract/pool-settings.ts";

function load(env: Record<string, string> = {}) {
  return loadConfig(env, { need: [] });
}

function problemsOf(run: () => unknown): ConfigError {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) {
      return error;
    }
    throw error;
  }
  throw new Error("expected a ConfigError, but nothing was thrown");
}

describe("parseOwnSettings", () => {
  it("accepts any part of the scaling, timeout and breaker settings", () => {
    expect(parseOwnSettings({})).toEqual({});
    const partial = { maxActiveGpus: 4, policy: "workload", taskStuckTimeoutSec: 900, maxWorkerFailureRate: 0.5 };
    expect(parseOwnSettings(partial)).toEqual(partial);
  });

  it("refuses unknown names, text instead of numbers, and values out of range, all at once", () => {
    const error = problemsOf(() =>
      parseOwnSettings({ maxGpus: 3, maxActiveGpus: "3", watchIntervalMs: 0, pollSec: null }),
    );
    expect(error.problems.map(({ variable }) => variable)).toEqual([
      "maxGpus",
      "maxActiveGpus",
      "watchIntervalMs",
      "pollSec",
    ]);
    expect(error.message).toContain('maxActiveGpus="3": expected a whole number from 0 to 10000');
    expect(error.message).toContain("maxGpus is not a setting that a pool may override: did you mean maxActiveGpus?");
    expect(error.message).toContain("gpu-pool config explain lists the settings");
  });

  it("knows exactly the settings that the contract lists", () => {
    expect(settingFacts.map(({ name }) => name)).toEqual([...POOL_SETTINGS, ...ACCOUNT_SETTINGS]);
  });

  it("says where the names are listed only where a name is wrong", () => {
    const message = problemsOf(() => parseOwnSettings({ maxActiveGpus: -4 })).message;
    expect(message).toBe(
      "The pool's configuration has a problem:\n  - maxActiveGpus=-4: expected a whole number from 0 to 10000",
    );
  });

  it("refuses a budget, and says whose it is", () => {
    for (const key of ["maxHourlySpendUsd", "dailyBudgetUsd", "budgetHard", "noFundsProbeMinutes"]) {
      expect(problemsOf(() => parseOwnSettings({ [key]: 5 })).message).toContain(
        `${key} is not a setting that a pool may override: it is the account's`,
      );
    }
  });

  it("does not let credentials or prototype names through", () => {
    for (const key of ["apiKey", "serviceRoleKey", "constructor", "toString"]) {
      expect(problemsOf(() => parseOwnSettings({ [key]: 1 })).problems[0]?.variable).toBe(key);
    }
  });

  it("refuses a floor above the ceiling when both are given", () => {
    expect(problemsOf(() => parseOwnSettings({ minActiveGpus: 5, maxActiveGpus: 4 })).message).toContain(
      "minActiveGpus=5 is above maxActiveGpus=4",
    );
  });

  it("refuses two settings that say what waiting is worth", () => {
    expect(
      problemsOf(() => parseOwnSettings({ waitValue: 2, waitCostUsdPerHour: 1, policy: "latency" })).message,
    ).toContain(
      "waitValue=2 and waitCostUsdPerHour=1 each say what waiting is worth; " +
        "expected at most one of waitValue, targetWaitSec, waitCostUsdPerHour",
    );
    for (const one of [
      { waitValue: 0.5 },
      { targetWaitSec: 90, targetWaitPercentile: 99 },
      { waitCostUsdPerHour: 1 },
    ]) {
      expect(parseOwnSettings(one)).toEqual(one);
    }
  });

  it.each([[null], [[]], ["x"], [7]])("refuses %j, which is no object", (value) => {
    expect(problemsOf(() => parseOwnSettings(value)).message).toContain("expected an object of settings");
  });
});

describe("SCALING_SCHEDULES", () => {
  const night = {
    name: "night",
    days: ["mon", "sun"],
    from: "22:00",
    to: "06:00",
    timeZone: "Europe/Berlin",
    maxActiveGpus: 2,
  };

  it("reads windows from JSON, and freezes them", () => {
    const { schedules } = load({ SCALING_SCHEDULES: JSON.stringify([night]) }).scaling;
    expect(schedules).toEqual([night]);
    expect([schedules, schedules[0], schedules[0]?.days].every(Object.isFrozen)).toBe(true);
    expect(parseOwnSettings({ schedules: [{ ...night, to: "24:00" }] })).toMatchObject({
      schedules: [{ to: "24:00" }],
    });
  });

  it.each<[string, Record<string, unknown>]>([
    ["days: expected mon, tue", { days: ["monday"] }],
    ["days: expected at least one day", { days: [] }],
    ["from: expected HH:MM from 00:00 to 23:59", { from: "24:00" }],
    ["from: expected HH:MM", { from: "7:00" }],
    ["to: expected HH:MM from 00:00 to 24:00", { to: "24:30" }],
    ["timeZone: expected an IANA time zone such as Europe/Berlin", { timeZone: "Mars/Olympus" }],
    ["timeZone: expected an IANA time zone", { timeZone: undefined }],
    ["minActiveGpus: expected at most maxActiveGpus", { minActiveGpus: 3 }],
    ["minActiveGpus: expected a whole number from 0 to 10000", { minActiveGpus: "3" }],
    ["machinesToKeepIdle: expected a whole number from 0 to 10000", { machinesToKeepIdle: -1 }],
  ])("says which entry and which field is wrong: %s", (complaint, change) => {
    const schedules = [night, { ...night, name: "odd", ...change }];
    expect(problemsOf(() => parseOwnSettings({ schedules })).message).toContain(`entry 2 (odd), ${complaint}`);
    expect(problemsOf(() => load({ SCALING_SCHEDULES: JSON.stringify(schedules) })).message).toContain(
      `: entry 2 (odd), ${complaint}`,
    );
  });

  it("refuses an unknown field, an entry that changes nothing, and what is no list of windows", () => {
    const { maxActiveGpus: _unused, ...idle } = night;
    const messageOf = (schedules: unknown) => problemsOf(() => parseOwnSettings({ schedules })).message;
    expect(messageOf([{ ...night, max: 3 }])).toContain("entry 1 (night): unknown field max");
    expect(messageOf([idle])).toContain("entry 1 (night): changes nothing: expected minActiveGpus");
    expect(messageOf([7])).toContain("entry 1: expected an object");
    for (const text of ["weekends", "{}", "[", "7"]) {
      expect(problemsOf(() => load({ SCALING_SCHEDULES: text })).message).toContain(
        `SCALING_SCHEDULES=${text}: expected a JSON array of windows`,
      );
    }
  });
});

describe("settingsInForce", () => {
  it("refuses a number that is none of this world, and leaves it out where another process wrote it", () => {
    for (const odd of [1e300, -1e300, 1e-300, 2 ** 53, Number.NaN]) {
      expect(() => parseOwnSettings({ spawningTimeoutSec: odd, maxActiveGpus: odd })).toThrow(
        /spawningTimeoutSec=.*maxActiveGpus=/s,
      );
      expect(settingsInForce(own, { spawningTimeoutSec: odd }, {})).toEqual(settingsInForce(own, {}, {}));
    }
  });

  const own = load({ MAX_ACTIVE_GPUS: "4", DAILY_BUDGET_USD: "30", RUNPOD_API_KEY: "rk-secret" });

  it("is what this process says where neither the newest process nor the pool says anything", () => {
    expect(settingsInForce(own, {}, {})).toEqual({
      ...own.scaling,
      ...own.timeouts,
      ...own.alerts,
      ...own.breaker,
      ...own.sickWorkers,
      ...own.launch,
      ...own.placement,
      ...own.budget,
    });
  });

  it("lets the newest process's settings override its own, and the pool's override both", () => {
    const newest = environmentSettings(
      load({ MAX_ACTIVE_GPUS: "6", MIN_ACTIVE_GPUS: "1", MAX_HOURLY_SPEND_USD: "9.5" }),
    );
    expect(settingsInForce(own, newest, { maxActiveGpus: 8, failureWindowMinutes: 2 })).toMatchObject({
      maxActiveGpus: 8,
      minActiveGpus: 1,
      failureWindowMinutes: 2,
      maxHourlySpendUsd: 9.5,
      dailyBudgetUsd: undefined,
    });
  });

  it("survives the row as JSON: every setting of the newest process rules, the unset ones too", () => {
    const newest = load({ SCALING_POLICY: "workload", BUDGET_HARD: "true" });
    const stored: unknown = JSON.parse(JSON.stringify(environmentSettings(newest)));
    expect(settingsInForce(own, stored, {})).toEqual(settingsInForce(newest, {}, {}));
    expect(Object.keys(environmentSettings(own)).toSorted()).toEqual(
      [...POOL_SETTINGS, "budgetHard", "dailyBudgetUsd", "maxHourlySpendUsd", "noFundsProbeMinutes"].toSorted(),
    );
  });

  it("leaves out what another version wrote and this one does not understand", () => {
    const strange = { maxActiveGpus: "many", minActiveGpus: null, policy: "clairvoyant", color: "red", budgetHard: 1 };
    expect(settingsInForce(own, strange, { color: "red" })).toEqual(settingsInForce(own, {}, {}));
    for (const nothing of [null, [], "x", undefined]) {
      expect(settingsInForce(own, nothing, {})).toEqual(settingsInForce(own, {}, {}));
    }
  });

  it("takes only the pool's own setting where it says itself what waiting is worth", () => {
    const newest = environmentSettings(load({ TARGET_WAIT_SEC: "90", TARGET_WAIT_PERCENTILE: "90" }));
    const unset = { waitValue: undefined, targetWaitSec: undefined, waitCostUsdPerHour: undefined };
    expect(settingsInForce(own, newest, {})).toMatchObject({ ...unset, targetWaitSec: 90, targetWaitPercentile: 90 });
    expect(settingsInForce(own, newest, { waitValue: 3 })).toMatchObject({ ...unset, waitValue: 3 });
    const both = load({ WAIT_VALUE: "7" });
    expect(settingsInForce(both, {}, { waitCostUsdPerHour: 1 })).toMatchObject({ ...unset, waitCostUsdPerHour: 1 });
  });

  it("does not let a pool's row set a budget", () => {
    expect(settingsInForce(own, {}, { dailyBudgetUsd: 1_000 }).dailyBudgetUsd).toBe(30);
  });

  it("refuses a known setting of the pool's own that is out of range", () => {
    expect(problemsOf(() => settingsInForce(own, {}, { maxActiveGpus: -1 })).message).toContain("maxActiveGpus=-1");
  });

  it("takes a floor above the ceiling, which may come from two places, as it is", () => {
    expect(settingsInForce(own, {}, { minActiveGpus: 9 })).toMatchObject({ minActiveGpus: 9, maxActiveGpus: 4 });
  });
});
