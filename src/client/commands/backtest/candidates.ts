import type { Candidate } from "../../../backtest/compare.ts";
import { loadConfig } from "../../../config/config.ts";
import { withSettings } from "../../../config/set-settings.ts";
import { settingsInForce } from "../../../config/settings-in-force.ts";
import type { PoolSettings } from "../../../contract/pool-settings.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { missingPool } from "../../missing-pool.ts";
import { plain } from "../../render/output.ts";

/** The settings that rule the pool now. @throws ClientError when there is no such pool */
export async function settingsOf(context: Context, pool: string): Promise<PoolSettings> {
  const config = loadConfig(context.env, { need: ["database"] });
  const record = await poolStore(await context.connections.database()).find(pool);
  if (record === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  return settingsInForce(config, record.environment, record.own);
}

/** The settings of this command's environment: no pool is asked. */
export function settingsOfEnvironment({ env }: Context): PoolSettings {
  return settingsInForce(loadConfig(env, { need: [] }), {}, {});
}

/** @param set such as SCALING_POLICY=workload,MIN_ACTIVE_GPUS=0. @throws ClientError, ConfigError */
export function candidateOf(settings: PoolSettings, set: string): Candidate {
  // A value may hold commas, so only a comma before the next name separates.
  const pairs = set.split(/,(?=\s*\w+=)/).map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) {
      const expected = "Expected one such as --set SCALING_POLICY=workload,MIN_ACTIVE_GPUS=0.";
      throw new ClientError(EXIT.usage, `--set ${plain(set)}: ${plain(pair)} is no NAME=value`, expected);
    }
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const;
  });
  const names = pairs.map(([name]) => name);
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (twice !== undefined) {
    throw new ClientError(EXIT.usage, `--set ${plain(set)} names ${plain(twice)} twice`, "Give each --set one value.");
  }
  return { label: set, settings: withSettings(settings, Object.fromEntries(pairs)) };
}

export function present(settings: PoolSettings): Candidate {
  const { policy, minActiveGpus, maxActiveGpus } = settings;
  return { label: `now: ${policy}, MIN ${minActiveGpus}, MAX ${maxActiveGpus}`, settings };
}

/** A budget is kept by the price, so without one it cannot be simulated. */
export function withoutBudget({ label, settings }: Candidate): Candidate {
  return { label, settings: { ...settings, maxHourlySpendUsd: undefined, dailyBudgetUsd: undefined } };
}
