import type { Mode } from "./intent.ts";
import type { BreakerState, Rule, SettingsView, Snapshot } from "./plan.ts";

/** What operators can say to a pool, and what it answers. */

/** What operators say. `scale` comes as `{ target: n | null, for?: seconds }`; null gives control back to the policy. */
export type Message =
  | { readonly kind: "scale"; readonly target: number | null; readonly forSec: number | null }
  | { readonly kind: "drain" }
  | { readonly kind: "resume" }
  | { readonly kind: "pause" }
  | { readonly kind: "shutdown" };

/** An operator's order about one worker, by the worker's id. */
export interface WorkerOrder {
  readonly kind: "drain" | "terminate";
  readonly worker: string;
  readonly reason: string;
}

/** What became of it. external: not ours to delete, so it was drained in its row. */
export interface WorkerOrderOutcome {
  readonly outcome: "ordered" | "external" | "already_leaving" | "not_living" | "unknown";
  readonly status: string | null;
}

/** A decision as the query `explain` tells it. */
export interface Explanation {
  readonly decisionId: string;
  readonly at: string;
  readonly rule: Rule | null;
  readonly reason: string;
  readonly inputs: Omit<Snapshot, "reason" | "rule" | "observedAt"> | null;
  readonly actions: readonly ActionSummary[];
}

export interface ActionSummary {
  readonly kind: "spawn" | "ready" | "released" | "drain" | "fail" | "terminate";
  readonly count: number;
  /** At most ten of them. */
  readonly workers: readonly string[];
  readonly reason: string | null;
}

/** Answer of the query `explain`: the latest state first, then the last decisions that held actions, newest first. */
export interface PoolExplanation {
  readonly pool: string;
  readonly now: Explanation | null;
  readonly decisions: readonly Explanation[];
}

/** Answer of the query `config`. */
export interface PoolConfig {
  readonly pool: string;
  readonly settings: SettingsView | null;
}

/** What one round did: the result of a workflow that was started for a number of rounds. Schema: docs/cycle-summary.schema.json. */
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

/** What a watch's heartbeats tell: when its process last observed the pool, ISO 8601; null: it tried and could not yet. */
export interface Look {
  readonly observedAt: string | null;
}

export interface PoolStatus {
  readonly pool: string;
  readonly phase: "starting" | "watching" | "performing" | "closing";
  readonly snapshot: Snapshot | null;
  readonly lastDecision: { readonly id: string; readonly actions: number; readonly reason: string } | null;
  readonly watches: number;
  readonly messages: number;
}
