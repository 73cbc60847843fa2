import { ApplicationFailure } from "@temporalio/common";
import { ConfigError, parseScalingOverrides } from "../config.ts";
import type { PoolActivities } from "../contract/activities.ts";
import type { PoolStore } from "../supabase/pool-store.ts";

export interface PoolDeps {
  readonly pools: PoolStore;
  /** GPU type of every pod, noted in the rows that are booked. */
  readonly instanceType: string;
}

/** The pool's row: opening it, what operators want, and booking new workers. */
export function createPoolActivities({ pools, instanceType }: PoolDeps): Omit<PoolActivities, "watchPool"> {
  return {
    async openPool(pool, config) {
      return await pools.open(pool, checkedOverrides(config));
    },

    async recordMessage(pool, message) {
      return await pools.setIntent(pool, message);
    },

    async journalIgnored(pool, kind, reason) {
      await pools.journal(pool, "message.ignored", `${kind}: ${reason}`);
    },

    async reserveWorkers(pool, decisionId, action) {
      return await pools.reserve(pool, {
        decisionId,
        count: action.count,
        max: action.max,
        intentVersion: action.intentVersion,
        instanceType,
      });
    },
  };
}

function checkedOverrides(config: Readonly<Record<string, unknown>>) {
  try {
    return parseScalingOverrides(config);
  } catch (error) {
    if (error instanceof ConfigError) {
      throw ApplicationFailure.nonRetryable(error.message, "InvalidConfig");
    }
    throw error;
  }
}
