import type { Intent } from "./intent.ts";

/**
 * What one watch decided. Recorded in the history and executed by the workflow, which ignores kinds that it does
 * not know: a new policy never breaks the replay of a living pool.
 */
export interface Plan {
  readonly decisionId: string;
  readonly actions: readonly Action[];
  readonly snapshot: Snapshot | null;
  /** Fingerprint of the snapshot and the settings: the next watch compares what it observes with what is shown. */
  readonly state?: string;
  /** What now rules the pool, where the workflow does not know it yet. */
  readonly settings?: SettingsView;
}

/** Settings in force, as the query `config` shows them: name → value, no secrets. */
export interface SettingsView {
  readonly fingerprint: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** The pool's own part of them, laid over the environment's. */
  readonly own: readonly string[];
}

export type Action = SpawnAction | WorkerAction;

export interface SpawnAction {
  readonly kind: "spawn";
  readonly count: number;
  readonly max: number;
  readonly intentVersion: number;
  readonly caps: SpendCaps;
  readonly reason: string;
}

/** Ceilings of the account, over all pools; null: none. */
export interface SpendCaps {
  readonly maxHourlySpendUsd: number | null;
  readonly dailyBudgetUsd: number | null;
}

/** A signal to one worker's workflow. */
export interface WorkerAction {
  readonly kind: "signal";
  readonly worker: string;
  readonly signal: WorkerSignal;
}

export type WorkerSignal =
  | { readonly name: "ready" }
  | { readonly name: "released" }
  | { readonly name: "drain"; readonly order: DrainOrder }
  | { readonly name: "fail"; readonly verdict: Verdict }
  | { readonly name: "terminate"; readonly order: TerminateOrder };

/** What goes with a signal. */
export function signalArguments(signal: WorkerSignal): [] | [DrainOrder | TerminateOrder | Verdict] {
  return "order" in signal ? [signal.order] : "verdict" in signal ? [signal.verdict] : [];
}

export interface DrainOrder {
  readonly reason: string;
  /** A worker that claimed a task in the meantime is let be. */
  readonly onlyIdle: boolean;
  /** The running task may take as long as it makes progress: no shutdown deadline ends it. */
  readonly untilTaskEnds?: boolean;
}

/** The running task goes back to the queue at once, uncounted. */
export interface TerminateOrder {
  readonly reason: string;
}

/** Why a worker's open lease is closed. Only worker_died and stuck count against the task's attempts. */
export type LeaseCause = "worker_died" | "stuck" | "host_lost";

/** What a verdict stands on. The provider's word is proof; silence and standstill only raise suspicion. */
export type Evidence = "provider" | "heartbeat" | "progress";

export interface Verdict {
  /** Null: a person's word. */
  readonly evidence: Evidence | null;
  readonly leaseCause: LeaseCause;
  readonly reason: string;
  /** The last heartbeat that the verdict knew, ms since epoch; a later one refuses it. Null: heartbeats do not matter. */
  readonly heartbeatMs: number | null;
  /** The last progress that the verdict knew, ms since epoch; a later one refuses it. Left out: progress does not matter. */
  readonly progressMs?: number;
}

/** What the queries and the Web UI show: counts as of the last observation. */
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
  /** Of the account, over all pools. */
  readonly spend: Spend;
  readonly breaker: BreakerState;
  /** Name of the schedule's window that changes the settings now. */
  readonly schedule: string | null;
  /** Why health verdicts are held back, if they are. */
  readonly suspended: string | null;
  /** The rule that won. */
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
  | "min"
  | "idle_buffer"
  | "max"
  | "hold"
  | "paused"
  | "draining"
  | "closing"
  | "breaker"
  | "budget"
  | "launch_rate";
