import { type ActionSummary, summariseActions } from "./explanations.ts";
import type { Mode } from "./intent.ts";
import type { BreakerState, Plan, Rule, Snapshot } from "./plan.ts";

/** Result of a workflow that was started for a number of rounds: its last round. Schema: docs/schemas/cycle.schema.json. */
export interface CycleSummary {
  readonly pool: string;
  readonly decisionId: string;
  readonly at: string;
  readonly mode: Mode;
  readonly hold: number | null;
  /** ISO 8601; null: the hold has no end. Older versions leave this, schedule and suspended out. */
  readonly holdUntil?: string | null;
  readonly desired: number;
  readonly rule: Rule;
  readonly reason: string;
  readonly queued: number;
  readonly workers: {
    readonly spawning: number;
    readonly idle: number;
    readonly busy: number;
    readonly terminating: number;
    readonly failing: number;
  };
  readonly breaker: BreakerState;
  /** Names of the schedule's windows that are open. */
  readonly schedule?: string | null;
  /** Why health verdicts are held back, if they are. */
  readonly suspended?: string | null;
  readonly costPerHourUsd: number;
  readonly spend: { readonly hourlyUsd: number; readonly todayUsd: number };
  readonly actions: readonly ActionSummary[];
  /** Ids of the workers that were booked. */
  readonly booked: readonly string[];
}

/** The summary of a round that ended with this plan. */
export function summariseCycle(
  pool: string,
  plan: Plan & { readonly snapshot: Snapshot },
  booked: readonly string[],
): CycleSummary {
  const { snapshot, decisionId, actions } = plan;
  const { intent, spawning, idle, busy, terminating, failing, spend } = snapshot;
  return {
    pool,
    decisionId,
    at: snapshot.observedAt,
    mode: intent.mode,
    hold: intent.hold,
    holdUntil: intent.holdUntilMs === null ? null : new Date(intent.holdUntilMs).toISOString(),
    desired: snapshot.desired,
    rule: snapshot.rule,
    reason: snapshot.reason,
    queued: snapshot.queued,
    workers: { spawning, idle, busy, terminating, failing },
    breaker: snapshot.breaker,
    schedule: snapshot.schedule,
    suspended: snapshot.suspended,
    costPerHourUsd: snapshot.costPerHourUsd,
    spend: { hourlyUsd: spend.hourlyUsd, todayUsd: spend.todayUsd },
    actions: summariseActions(actions),
    booked,
  };
}
