import type { BreakerState, Spend } from "../contract/plan.ts";
import type { Intent } from "../contract/intent.ts";
import type { WorkerRow } from "../contract/inputs.ts";
import type { Measured } from "./latency/measured.ts";

/** One consistent reading of the database. All times are ms since epoch by the database's clock. */
export interface Observation {
  readonly nowMs: number;
  /** Start of the present run of good observations. Heartbeat ages count from here at the earliest. */
  readonly observingSinceMs: number;
  /** When most active workers fell silent together, as recorded by an earlier look; null: they did not. */
  readonly massSilenceSinceMs: number | null;
  readonly intent: Intent;
  /** Claimable tasks that the pool's next worker can do, counted up to 10,000. */
  readonly queued: number;
  /** Since when a task waits that a worker could claim, as the last full pass saw it; null: none does. */
  readonly waitingSinceMs: number | null;
  /** Types of claimable tasks that neither the pool's next worker nor a living one can do; null or left out: not looked for. */
  readonly undone?: readonly UndoneType[] | null;
  /** Idle workers that can do nothing of what is queued; left out: none. */
  readonly unfit?: readonly string[];
  readonly fleet: readonly ObservedWorker[];
  readonly breaker: ObservedBreaker;
  /** Null: as far as is known, the account has funds. */
  readonly noFunds: ObservedNoFunds | null;
  /** Null: the last pod that was asked for was to be had. */
  readonly noPlace: ObservedNoPlace | null;
  /** The account's spend over all pools. Null: not read yet, so a pool with a cap spawns nothing. */
  readonly spend: ObservedSpend | null;
  /** How many workers of this pool were booked in the last sixty seconds. */
  readonly launchedLastMinute: number;
  /** How many workers of this pool were ended for their heartbeat, progress or failures in the last five minutes. */
  readonly failedRecently: number;
  /** Left out: nothing was measured, which the policies that need no figures never miss. */
  readonly measured?: Measured;
}

export interface UndoneType {
  readonly taskType: string;
  /** How many of its tasks wait, counted up to 10,000. */
  readonly tasks: number;
}

export interface ObservedBreaker {
  readonly state: BreakerState;
  readonly sinceMs: number;
  /**
   * How many boots failed before the worker was ready. A boot counts when it ended after `sinceMs` and within
   * FAILURE_WINDOW_MINUTES. If fewer than MIN_WORKERS_FOR_RATE_CHECK ended in that window, the last
   * MIN_WORKERS_FOR_RATE_CHECK boots of the last 24 hours count in place of them.
   */
  readonly failed: number;
  /** How many of the same boots succeeded. */
  readonly ready: number;
}

export interface ObservedNoFunds {
  readonly sinceMs: number;
  /** When the last attempt was refused, or when the next one was booked. */
  readonly triedMs: number;
}

/** Every place that could be asked for a pod refused it, or none could be asked. */
export interface ObservedNoPlace {
  readonly sinceMs: number;
  readonly reason: string;
}

export interface ObservedSpend extends Spend {
  /** The last known hourly price of this pool's pods, else that of the dearest other pool; null: no price is known. */
  readonly priceUsd: number | null;
  /**
   * How many living workers are missing from hourlyUsd because no price is known at all. With a known price this is 0:
   * a worker of unknown price is in hourlyUsd at `priceUsd`.
   */
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
  /** The worker leaves after its task, however long the task takes. */
  readonly drainsWithoutDeadline: boolean;
  /** The signal last sent to the worker's workflow. */
  readonly signal: string | null;
  readonly signalMs: number | null;
  /** What it said when it reported itself broken; null: it did not. */
  readonly brokenReason: string | null;
  /** Null: it has failed fewer tasks in a row than SICK_WORKER_MIN_TASKS. */
  readonly failedRun: FailedRun | null;
  /** The provider's evidence about the pod; null: none. */
  readonly pod: PodEvidence | null;
}

/** Different tasks that a worker failed within SICK_WORKER_WINDOW_MINUTES and without completing one in between. */
export interface FailedRun {
  readonly tasks: number;
  readonly sinceMs: number;
  /**
   * When another worker of the pool completed a task of one of these types; looked for since the run began and within
   * SICK_WORKER_PROOF_MINUTES. Null: none did.
   */
  readonly othersCompletedMs: number | null;
}

export interface ObservedTask {
  readonly id: string;
  readonly startedMs: number;
  readonly progressMs: number | null;
  /** The limit of its type, or that of a worker that reports no progress; null: TASK_STUCK_TIMEOUT_SEC. */
  readonly stuckTimeoutSec: number | null;
  /** Null or left out: not known, so it counts as a task of unknown kind. */
  readonly taskType?: string | null;
  readonly model?: string | null;
}

/** `absent`: the pod was known before, and two complete lists in a row lack it. */
export type PodEvidence = { readonly kind: "listed"; readonly status: string } | { readonly kind: "absent" };
