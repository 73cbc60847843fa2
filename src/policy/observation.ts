import type { BreakerState, Spend } from "../contract/plan.ts";
import type { Intent } from "../contract/intent.ts";
import type { WorkerRow } from "../contract/inputs.ts";

/** One consistent reading of the database. All times are ms since epoch by the database's clock. */
export interface Observation {
  readonly nowMs: number;
  /** Start of unbroken good observations: no heartbeat age counts from before it. */
  readonly observingSinceMs: number;
  /** Since when most active workers are silent together, as recorded by the last look; null: they are not. */
  readonly massSilenceSinceMs: number | null;
  readonly intent: Intent;
  /** Claimable tasks, counted up to 10,000. */
  readonly queued: number;
  readonly fleet: readonly ObservedWorker[];
  readonly breaker: ObservedBreaker;
  /** Of the account, over all pools. Null: not read yet, so no cap can be kept and nothing is spawned under one. */
  readonly spend: ObservedSpend | null;
  /** Workers of this pool that were booked in the last sixty seconds. */
  readonly launchedLastMinute: number;
  /** Workers of this pool that verdicts on heartbeat or progress ended in the last five minutes. */
  readonly failedRecently: number;
}

export interface ObservedBreaker {
  readonly state: BreakerState;
  readonly sinceMs: number;
  /**
   * Of the workers whose boot came to its end since `sinceMs`, within FAILURE_WINDOW_MINUTES or, where these are fewer
   * than MIN_WORKERS_FOR_RATE_CHECK, the last so many of a day: failed before they were ready.
   */
  readonly failed: number;
  /** The others of them. */
  readonly ready: number;
}

export interface ObservedSpend extends Spend {
  /** Last known hourly price of the pool's pods, else the dearest other pool's; null: none was ever rented. */
  readonly priceUsd: number | null;
  /** Living workers while no price is known at all; else they are in hourlyUsd at the last known one. */
  readonly unpriced: number;
}

export interface ObservedWorker {
  readonly id: string;
  readonly status: WorkerRow["status"];
  readonly origin: "pool" | "external";
  readonly podId: string | null;
  readonly createdMs: number;
  readonly readyMs: number | null;
  readonly heartbeatMs: number | null;
  /** When it last reported VRAM figures; null: never. */
  readonly vramMs: number | null;
  readonly releasedMs: number | null;
  readonly costPerHourUsd: number | null;
  readonly task: ObservedTask | null;
  /** Leaves, but only after its task, however long that takes. */
  readonly drainsWithoutDeadline: boolean;
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
