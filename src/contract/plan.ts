import type { Intent } from "./messages.ts";

/**
 * What one watch decided. Recorded in the history and executed by the workflow, which ignores kinds that it does
 * not know: a new policy never breaks the replay of a living pool.
 */
export interface Plan {
  readonly decisionId: string;
  readonly actions: readonly Action[];
  readonly snapshot: Snapshot | null;
}

export type Action = SpawnAction | WorkerAction;

export interface SpawnAction {
  readonly kind: "spawn";
  readonly count: number;
  readonly max: number;
  readonly intentVersion: number;
  readonly reason: string;
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
  | { readonly name: "fail"; readonly verdict: Verdict };

/** onlyIdle: a worker that claimed a task in the meantime is let be. */
export interface DrainOrder {
  readonly reason: string;
  readonly onlyIdle: boolean;
}

/** Why a worker's open lease is closed. Only worker_died and stuck count against the task's attempts. */
export type LeaseCause = "worker_died" | "stuck" | "host_lost";

export interface Verdict {
  readonly leaseCause: LeaseCause;
  readonly reason: string;
  /** The last heartbeat that the verdict knew, ms since epoch; a later one refuses it. Null: heartbeats do not matter. */
  readonly heartbeatMs: number | null;
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
  readonly reason: string;
}
