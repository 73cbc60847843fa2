import type { Intent } from "../contract/messages.ts";
import type { WorkerRow } from "../contract/inputs.ts";

/** One consistent reading of the database. All times are ms since epoch by the database's clock. */
export interface Observation {
  readonly nowMs: number;
  /** Start of unbroken good observations: no heartbeat age counts from before it. */
  readonly observingSinceMs: number;
  readonly intent: Intent;
  /** Claimable tasks, counted up to 10,000. */
  readonly queued: number;
  readonly fleet: readonly ObservedWorker[];
}

export interface ObservedWorker {
  readonly id: string;
  readonly status: WorkerRow["status"];
  readonly origin: "pool" | "external";
  readonly podId: string | null;
  readonly createdMs: number;
  readonly readyMs: number | null;
  readonly heartbeatMs: number | null;
  readonly releasedMs: number | null;
  readonly costPerHourUsd: number | null;
  readonly task: ObservedTask | null;
  /** The signal last sent to the worker's workflow. */
  readonly signal: string | null;
  readonly signalMs: number | null;
  /** What the provider's own list says; null: no evidence either way. */
  readonly pod: PodEvidence | null;
}

export interface ObservedTask {
  readonly id: string;
  readonly startedMs: number;
  readonly progressMs: number | null;
  readonly stuckTimeoutSec: number | null;
}

/** absent: known before, and missing from two complete lists in a row. */
export type PodEvidence = { readonly kind: "listed"; readonly status: string } | { readonly kind: "absent" };
