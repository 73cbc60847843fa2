import type { Intent } from "./intent.ts";
import type { PoolSettings } from "./pool-settings.ts";
import { type WorkerSignal, workerSignals } from "./worker-api.ts";

/**
 * The decision of one watch. It is recorded in the history, and the workflow ignores actions of kinds that it does not
 * know: so a new policy never breaks the replay of a living pool.
 */
export interface Plan {
  readonly decisionId: string;
  /** The run of the pool's workflow that it was made for. */
  readonly run?: string;
  readonly actions: readonly Action[];
  readonly snapshot: Snapshot | null;
  /** Fingerprint of the snapshot and the settings: the next watch returns when its own observation differs. */
  readonly state?: string;
  /** The settings in force, if the workflow does not know them yet. */
  readonly settings?: SettingsView;
}

/** Settings in force, as the query `config` shows them, without secrets. A setting that is not set is left out. */
export interface SettingsView {
  readonly fingerprint: string;
  readonly values: PoolSettings;
  /** Names of the settings that the pool has of its own; they override the environment's. */
  readonly own: readonly string[];
}

export type Action = SpawnAction | WorkerAction;

/** Whether this version can perform an action. A newer policy may plan an action or a signal that it does not know. */
export function isKnown(action: Action): boolean {
  return action.kind === "spawn" || (action.kind === "signal" && Object.hasOwn(workerSignals, action.signal.name));
}

export interface SpawnAction {
  readonly kind: "spawn";
  readonly count: number;
  readonly max: number;
  readonly intentVersion: number;
  readonly caps: SpendCaps;
  readonly reason: string;
}

/** Spending limits of the account, over all pools; null: no limit. */
export interface SpendCaps {
  readonly maxHourlySpendUsd: number | null;
  readonly dailyBudgetUsd: number | null;
  /** While the account has no funds, one worker is booked in this time. */
  readonly noFundsProbeMinutes?: number;
}

/** A signal to one worker's workflow. */
export interface WorkerAction {
  readonly kind: "signal";
  readonly worker: string;
  readonly signal: WorkerSignal;
}

/** A pool as it was last observed, for queries and the Web UI. */
export interface Snapshot {
  readonly observedAt: string;
  readonly intent: Intent;
  readonly desired: number;
  /** Claimable tasks, counted up to 10,000. */
  readonly queued: number;
  readonly spawning: number;
  readonly idle: number;
  readonly busy: number;
  readonly terminating: number;
  readonly failing: number;
  readonly costPerHourUsd: number;
  /** Spend of the account, over all pools. */
  readonly spend: Spend;
  readonly breaker: BreakerState;
  /** Types of claimable tasks that nobody can do, at most ten; left out: none. */
  readonly undone?: readonly string[];
  /** Name of the schedule's window that changes the settings now. */
  readonly schedule: string | null;
  /** Why health verdicts are held back, if they are. */
  readonly suspended: string | null;
  /** The rule that set the desired size. */
  readonly rule: Rule;
  /** One sentence: how the rule came to its size, and what bounded it. */
  readonly reason: string;
}

export type BreakerState = "closed" | "open" | "half_open";

/** USD; todayUsd since midnight UTC. */
export interface Spend {
  readonly hourlyUsd: number;
  readonly todayUsd: number;
}

export type Rule =
  | "threshold"
  | "workload"
  | "latency"
  | "min"
  | "idle_buffer"
  | "max"
  | "hold"
  | "paused"
  | "draining"
  | "closing"
  | "breaker"
  | "budget"
  | "funds"
  | "placement"
  | "launch_rate";
