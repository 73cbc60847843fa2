import type { WorkerRow, WorkerTimings } from "./inputs.ts";
import type { Intent, Message } from "./messages.ts";
import type { DrainOrder, LeaseCause, Plan, SpawnAction } from "./plan.ts";

/** Activities on the main task queue. */
export interface PoolActivities {
  openPool(pool: string, config: Readonly<Record<string, unknown>>): Promise<{ living: string[] }>;
  /** @param shown whether the workflow has a snapshot to show; without one the first good observation is returned. */
  watchPool(pool: string, shown: boolean): Promise<Plan>;
  recordMessage(pool: string, message: Message): Promise<Intent>;
  journalIgnored(pool: string, kind: string, reason: string): Promise<void>;
  reserveWorkers(
    pool: string,
    decisionId: string,
    action: SpawnAction,
  ): Promise<{ outcome: string; workers: string[] }>;
}

export interface WorkerActivities {
  loadWorker(id: string): Promise<{ row: WorkerRow | null; timings: WorkerTimings }>;
  drainWorker(
    id: string,
    order: DrainOrder,
  ): Promise<{ outcome: "drained" | "refused_busy" | "not_living"; busy: boolean }>;
  failWorker(
    id: string,
    cause: LeaseCause,
    reason: string,
    ground: { heartbeatMs?: number | null; onlyIfSpawning?: boolean },
  ): Promise<{ outcome: "failed" | "refused_ready" | "refused_recovered" | "not_living" }>;
  expelWorker(id: string, reason: string): Promise<number>;
  recordPod(id: string, pod: CreatedPod, adopted: boolean): Promise<void>;
  burnName(id: string, reason: string): Promise<void>;
  workerGone(id: string): Promise<void>;
}

export interface CreatedPod {
  readonly podId: string;
  readonly costPerHourUsd: number | null;
  readonly createdAt: string | null;
}

export type CreatePodResult =
  | { readonly kind: "created"; readonly pod: CreatedPod; readonly recorded: boolean }
  | {
      readonly kind: "refused";
      readonly reason: string;
      readonly detail: string;
      readonly retryable: boolean;
      readonly retryAfterSec: number | null;
    }
  | { readonly kind: "ambiguous"; readonly detail: string }
  /** Another request for this name is, or was, under way: the row says how it ended. */
  | { readonly kind: "not_elected" };

/** Activities on the task queue of the provider (contract/names.ts: runpodTaskQueue). */
export interface PodActivities {
  createPod(pool: string, id: string): Promise<CreatePodResult>;
  findPod(id: string): Promise<{ readonly pod: CreatedPod | null }>;
  checkBoot(id: string, podId: string): Promise<{ readonly status: string }>;
  removePod(id: string, podId: string | null): Promise<{ readonly absent: boolean; readonly detail: string }>;
}
