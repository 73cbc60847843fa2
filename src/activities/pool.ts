import { ApplicationFailure } from "@temporalio/common";
import { type Config, ConfigError, severalWaitSettings } from "../config/config.ts";
import { parseOwnSettings, settingsInForce } from "../config/settings-in-force.ts";
import { FAILURES } from "../contract/failures.ts";
import { POD_SETTINGS, POOL_SETTINGS, type PoolSettings, WAIT_SETTINGS } from "../contract/pool-settings.ts";
import type { PoolActivities } from "../contract/activities.ts";
import { taskTypesOf } from "../policy/launch/task-types.ts";
import { namesNoGpuType } from "../policy/placement.ts";
import type { PoolStore } from "../supabase/pool-store.ts";
import { expectedPod, type MarketReader } from "./placement/market.ts";
import { viewOf } from "./observer.ts";
import { noteOnTrace } from "./on-trace.ts";
import { problemsOfPods } from "./pod-request.ts";
import { refuseRepeated, signalsOfThisRun, thisRun } from "./resets.ts";
import { workerTimings } from "./worker-timings.ts";

const CATALOG_PATIENCE_MS = 2_000;

export interface PoolDeps {
  readonly config: Config;
  readonly deployment: string;
  readonly pools: PoolStore;
  readonly market: Pick<MarketReader, "catalog">;
}

/** Activities on the pool's row: opening it, recording an operator's intent and booking new workers. */
export function createPoolActivities({
  config,
  deployment,
  pools,
  market,
}: PoolDeps): Omit<PoolActivities, "watchPool"> {
  return {
    async openPool(pool, given, start) {
      const own = checked(() => parseOwnSettings(given));
      const before = await pools.find(pool);
      const merged = { ...before?.own, ...own };
      // A start that sets neither bound must succeed, even if the environment now has MIN above MAX.
      if (own.minActiveGpus !== undefined || own.maxActiveGpus !== undefined) {
        refuseMinAboveMax(checked(() => settingsInForce(config, before?.environment ?? {}, merged)));
      }
      // A pool that was lost is opened again whatever its settings are: its workers live, and no pod is rented unchecked.
      if (before?.shouldRun !== true) {
        if (WAIT_SETTINGS.some((name) => name in own)) {
          refuseSeveralWaitSettings(merged, "start without it, then change both");
        }
        refuseLaunch(config, before?.environment ?? {}, merged);
        // A cycle is not refused for what the catalog lost meanwhile: it has to look after the workers that live.
        if (start?.lasting === true) {
          await refuseUnknownGpuTypes(config, before?.environment ?? {}, merged, market);
        }
      }
      return { ...(await pools.open(pool, own, start)), deployment };
    },

    ...messageActivities({ config, pools, market }),

    async reserveWorkers(pool, decisionId, action, plannedIn) {
      noteOnTrace({ pool, decision: decisionId });
      if (plannedIn !== undefined && plannedIn !== thisRun()) {
        // The workflow was reset to a point behind the plan, which may be long ago.
        return { outcome: "stale_plan", workers: [] };
      }
      const { own, environment } = await pools.settings(pool);
      const settings = settingsInForce(config, environment, own);
      // Without a ceiling the price only counts as a forecast, which is not worth a wait.
      const hasCap = action.caps.maxHourlySpendUsd !== null || action.caps.dailyBudgetUsd !== null;
      const expected = expectedPod(settings, await market.catalog(settings, hasCap ? CATALOG_PATIENCE_MS : 0));
      const { outcome, workers, nowMs } = await pools.reserve(pool, {
        decisionId,
        count: action.count,
        max: action.max,
        intentVersion: action.intentVersion,
        caps: action.caps,
        instanceType: expected.gpuType,
        priceUsd: expected.usdPerHour,
        taskTypes: taskTypesOf(settings),
      });
      if (outcome !== "reserved" || workers.length === 0) {
        return { outcome, workers };
      }
      return { outcome, workers, booked: { atMs: nowMs, timings: workerTimings(config, environment, own) } };
    },
  };
}

type MessageActivities = Pick<
  PoolActivities,
  "recordSignals" | "recordMessage" | "journalIgnored" | "reconfigure" | "orderWorker"
>;

function messageActivities({ config, pools, market }: Omit<PoolDeps, "deployment">): MessageActivities {
  return {
    async recordSignals(pool, batch) {
      const run = thisRun();
      for (;;) {
        const before = await pools.writeSignals(pool, run, batch);
        const counted = before && (await signalsOfThisRun(before));
        if (before === null || counted === null) {
          return;
        }
        await pools.countSignals(pool, before.run, counted.now, counted.reset);
      }
    },

    async recordMessage(pool, message, origin) {
      await refuseRepeated(pools, pool, message.kind, origin);
      return await pools.setIntent(pool, message);
    },

    async journalIgnored(pool, kind, reason) {
      await pools.journal(pool, "message.ignored", `${kind}: ${reason}`);
    },

    async reconfigure(pool, patch, origin, by) {
      await refuseRepeated(pools, pool, "reconfigure", origin ?? undefined);
      const before = await pools.settings(pool);
      const absent = Object.keys(patch).find((name) => !POOL_SETTINGS.includes(name) && !(name in before.own));
      if (absent !== undefined) {
        throw invalid(`${absent}: no setting that a pool may have, and not in its configuration`);
      }
      // Settings that only another version knows have no effect here, and are no reason to refuse the patch.
      const merged = Object.entries({ ...before.own, ...patch });
      const own = Object.fromEntries(merged.filter(([name, value]) => value !== null && POOL_SETTINGS.includes(name)));
      refuseSeveralWaitSettings(own, "null takes one away");
      checked(() => parseOwnSettings(own));
      const settings = settingsInForce(config, before.environment, own);
      refuseMinAboveMax(settings);
      if (Object.keys(patch).some((name) => POD_SETTINGS.includes(name))) {
        refuseLaunch(config, before.environment, own);
      }
      if ("gpuTypes" in patch) {
        await refuseUnknownGpuTypes(config, before.environment, own, market);
      }
      await pools.reconfigure(pool, patch, by ?? null);
      return viewOf(settings, own);
    },

    async orderWorker(pool, order, origin) {
      await refuseRepeated(pools, pool, `${order.kind}Worker`, origin);
      return await pools.orderWorker(pool, order);
    },
  };
}

function refuseMinAboveMax({ minActiveGpus, maxActiveGpus }: PoolSettings): void {
  if (minActiveGpus > maxActiveGpus) {
    throw invalid(`minActiveGpus=${minActiveGpus} would be above maxActiveGpus=${maxActiveGpus}`);
  }
}

function refuseSeveralWaitSettings(own: Readonly<Record<string, unknown>>, advice: string): void {
  const [problem] = severalWaitSettings(own, (name) => name);
  if (problem !== undefined) {
    throw invalid(`${problem.message}; ${advice}: gpu-pool config set waitValue=null targetWaitSec=60`);
  }
}

/**
 * Pods that cannot work are not rented to find it out. The environment in force is the row's, or soon that of this
 * process, if it is the newest: settings that work in either are let through.
 */
function refuseLaunch(config: Config, environment: unknown, own: unknown): void {
  const [ours = [], theirs = []] = inEither(config, environment, own).map((settings) =>
    problemsOfPods(config, settings),
  );
  if (ours.length > 0 && theirs.length > 0) {
    throw invalid(`its pods could not work: ${ours.map(({ message }) => message).join("; ")}`);
  }
}

/** As `refuseLaunch`: without this, a pool would open that can never rent. A catalog that is not known refuses nothing. */
async function refuseUnknownGpuTypes(
  config: Config,
  environment: unknown,
  own: unknown,
  market: Pick<MarketReader, "catalog">,
): Promise<void> {
  const [ours, theirs] = inEither(config, environment, own);
  const catalog = await market.catalog(ours, CATALOG_PATIENCE_MS);
  if (namesNoGpuType(ours, catalog) && namesNoGpuType(theirs, catalog)) {
    throw invalid(
      `gpuTypes (RUNPOD_GPU_TYPE): the provider's catalog has no GPU type ${ours.gpuTypes.join(" or ")}; ` +
        "gpu-pool doctor names types that are alike",
    );
  }
}

function inEither(config: Config, environment: unknown, own: unknown): readonly [PoolSettings, PoolSettings] {
  return [checked(() => settingsInForce(config, {}, own)), checked(() => settingsInForce(config, environment, own))];
}

function checked<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ConfigError) {
      throw invalid(error.message);
    }
    throw error;
  }
}

function invalid(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, FAILURES.invalidConfig);
}
