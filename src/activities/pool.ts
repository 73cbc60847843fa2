import { ApplicationFailure } from "@temporalio/common";
import { type Config, ConfigError, parseScalingOverrides, settingsInForce } from "../config.ts";
import type { PoolActivities } from "../contract/activities.ts";
import type { PoolStore } from "../supabase/pool-store.ts";
import { viewOf } from "./observer.ts";
import { workerTimings } from "./worker-timings.ts";

export interface PoolDeps {
  readonly config: Config;
  readonly pools: PoolStore;
}

/** The pool's row: opening it, what operators want, and booking new workers. */
export function createPoolActivities({ config, pools }: PoolDeps): Omit<PoolActivities, "watchPool" | "signalWorkers"> {
  return {
    async openPool(pool, given) {
      return await pools.open(
        pool,
        checked(() => parseScalingOverrides(given)),
      );
    },

    async recordMessage(pool, message) {
      return await pools.setIntent(pool, message);
    },

    async journalIgnored(pool, kind, reason) {
      await pools.journal(pool, "message.ignored", `${kind}: ${reason}`);
    },

    async reconfigure(pool, patch) {
      const before = await pools.settings(pool);
      const laid = { ...before.own, ...patch };
      const own = Object.fromEntries(Object.entries(laid).filter(([, value]) => value !== null));
      checked(() => parseScalingOverrides(own));
      const settings = settingsInForce(config, before.environment, own);
      if (settings.minActiveGpus > settings.maxActiveGpus) {
        const { minActiveGpus, maxActiveGpus } = settings;
        throw invalid(`minActiveGpus=${minActiveGpus} would be above maxActiveGpus=${maxActiveGpus}`);
      }
      await pools.reconfigure(pool, patch);
      return viewOf(settings, own);
    },

    async orderWorker(pool, order) {
      return await pools.orderWorker(pool, order);
    },

    async reserveWorkers(pool, decisionId, action) {
      const { outcome, workers, nowMs } = await pools.reserve(pool, {
        decisionId,
        count: action.count,
        max: action.max,
        intentVersion: action.intentVersion,
        caps: action.caps,
        // Of every pod; noted in the rows that are booked.
        instanceType: config.runpod.gpuType,
      });
      if (outcome !== "reserved" || workers.length === 0) {
        return { outcome, workers };
      }
      const { own, environment } = await pools.settings(pool);
      return { outcome, workers, booked: { atMs: nowMs, timings: workerTimings(config, environment, own) } };
    },
  };
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
  return ApplicationFailure.nonRetryable(message, "InvalidConfig");
}
