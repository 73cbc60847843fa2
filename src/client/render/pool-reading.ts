import type { Intent } from "../../contract/intent.ts";
import type { Alert } from "../../contract/alerts.ts";
import type { Look } from "../../contract/activities.ts";
import type { PoolStatus } from "../../contract/pool-api.ts";
import type { BreakerState, Spend, SpendCaps } from "../../contract/plan.ts";
import type { Measured, MeasuredBoots, MeasuredSpeed } from "../../policy/latency/measured.ts";
import type { ObservedWorker, UndoneType } from "../../policy/observation.ts";

/** Whether a workflow decides about the pool, as Temporal shows it. */
export type Controller =
  | { readonly state: "answers"; readonly status: PoolStatus; readonly look: Look | null }
  | { readonly state: "silent" | "not_running" | "unreachable" | "foreign"; readonly reason: string };

type Observed = "id" | "status" | "origin" | "podId" | "createdMs" | "heartbeatMs" | "costPerHourUsd";

export interface FleetWorker extends Pick<ObservedWorker, Observed> {
  readonly bootStage: string;
  /** When its boot stage began. */
  readonly bootStageMs: number;
  /** How long this stage may last; null: it is no stage of a boot, or the pool's settings do not say. */
  readonly bootTimeoutSec: number | null;
  readonly task: { readonly id: string; readonly type: string | null; readonly progress: number | null } | null;
}

/** A pod that was rented for one job and is not gone. It is no part of the fleet. */
export interface LivingJob {
  readonly id: string;
  readonly purpose: string;
  /** How far it is, in words. */
  readonly progress: string;
  readonly costPerHourUsd: number | null;
}

export interface QueueCounts {
  readonly open: number;
  readonly held: number;
  readonly blocked: number;
  /** Handed back without progress; each may be claimed again within five minutes. */
  readonly delayed: number;
  readonly inProgress: number;
  readonly completeLastDay: number;
  readonly failedLastDay: number;
}

/** A message as the journal has it: `kind` is the message, or ignored, folded or repeated. */
export interface Message {
  /** ISO 8601. */
  readonly at: string;
  readonly kind: string;
  readonly reason: string;
}

/** A Temporal worker process that gives signs of life. */
export interface LivingProcess {
  readonly host: string;
  readonly pid: number | null;
  readonly version: string;
  readonly taskQueue: string;
  /** It does what only one of them may do. */
  readonly leads: boolean;
  /** Its first sign of life. */
  readonly startedMs: number;
}

/** What is measured of the pool. `waitValue`: learnt, or else as the pool's settings say; null: the policy does not use it. */
export interface PoolFigures extends Measured {
  readonly measuredMs: number;
  readonly boots: readonly MeasuredBoots[];
  readonly speeds: readonly MeasuredSpeed[];
}

export interface PoolReading {
  readonly pool: string;
  /** Now by the database's clock; all ages count from it. */
  readonly nowMs: number;
  /** Null: the pool was never started. */
  readonly intent: Intent | null;
  readonly fleet: readonly FleetWorker[];
  readonly jobs: readonly LivingJob[];
  /** The processes of all pools, the oldest first. */
  readonly processes: readonly LivingProcess[];
  readonly queue: QueueCounts;
  /** Null: the pool was never started, or another process measures for the first time right now. */
  readonly measured: PoolFigures | null;
  /** The cost of all pods of this pool so far, living ones included. */
  readonly costUsd: number;
  /** The account's spend over all pools, and its caps. Null: the pool was never started. */
  readonly account: (Spend & Omit<SpendCaps, "noFundsProbeMinutes">) | null;
  readonly breaker: { readonly state: BreakerState; readonly sinceMs: number } | null;
  readonly lastDecision: { readonly atMs: number; readonly reason: string } | null;
  /** The last messages to the pool with what became of each, the newest first. */
  readonly messages: readonly Message[];
  /** Types of claimable tasks that no worker can do. */
  readonly undone: readonly UndoneType[];
  /** Open ones, of this pool and of the account, newest first. */
  readonly alerts: readonly Alert[];
  readonly controller: Controller;
}
