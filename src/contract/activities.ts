import type { Booking, WorkerRow, WorkerTimings } from "./inputs.ts";
import type { Intent } from "./intent.ts";
import type { Plan, SettingsView, SpawnAction, WorkerAction } from "./plan.ts";
import type { Message, SettingsPatch, WorkerOrder, WorkerOrderOutcome } from "./pool-api.ts";
import type { SignalBatch } from "./signal-batch.ts";
import type { DrainOrder, Evidence, LeaseCause } from "./worker-api.ts";

/** Activities on the main task queue. */
export interface PoolActivities {
  /** Also answers the id of the deployment that the pool belongs to from now on. */
  openPool(
    pool: string,
    config: Readonly<Record<string, unknown>>,
    start?: PoolStart,
  ): Promise<{ living: string[]; deployment?: string }>;
  watchPool(pool: string, known: KnownState): Promise<Plan>;
  /** Writes each signal of the batch once, however often and in whatever run it is given. */
  recordSignals(pool: string, batch: SignalBatch): Promise<void>;
  recordMessage(pool: string, message: Message, origin?: MessageOrigin): Promise<Intent>;
  /**
   * Adds settings to the pool's own; null takes one away. Answers the settings now in force.
   * @param by who sent them; null: not known.
   */
  reconfigure(
    pool: string,
    patch: SettingsPatch,
    origin?: MessageOrigin | null,
    by?: string | null,
  ): Promise<SettingsView>;
  /** Journals the order. Answers ordered where the worker's workflow must be signalled. */
  orderWorker(pool: string, order: WorkerOrder, origin?: MessageOrigin): Promise<WorkerOrderOutcome>;
  journalIgnored(pool: string, kind: string, reason: string): Promise<void>;
  reserveWorkers(
    pool: string,
    decisionId: string,
    action: SpawnAction,
    plannedIn?: string,
  ): Promise<{ outcome: string; workers: string[]; booked?: Booking }>;
}

/** first: the first run since this start of the pool. A workflow that is reset to its beginning opens the pool again. */
export interface PoolStart {
  readonly first: string;
  readonly run: string;
  /** The workflow has no end of its own, so the janitor starts it again if it is lost. */
  readonly lasting: boolean;
  /** Nobody ordered it: a pool that was shut down stays so. */
  readonly woken?: boolean;
}

/** Given where the workflow was reset: a message from before the reset is refused with FAILURES.repeated. */
export interface MessageOrigin {
  /** Id of the update; null: the workflow was cancelled. */
  readonly update: string | null;
}

/** Details of a watch's heartbeat. */
export interface Look {
  /** When its process last observed the pool, ISO 8601; null: it tried and could not yet. */
  readonly observedAt: string | null;
}

/** For many workers at once, on the main task queue. */
export interface BulkActivities {
  /** Starts the workflow of each worker; one that runs already is left alone. */
  startWorkers(pool: string, ids: readonly string[], booked?: Booking): Promise<void>;
  /** Answers the workers whose workflow is missing. */
  signalWorkers(pool: string, actions: readonly WorkerAction[]): Promise<{ missing: string[] }>;
}

/** State that the workflow already knows; a watch does not return for it. */
export interface KnownState {
  /** It has a snapshot; without one the watch returns its first good observation. */
  readonly shown: boolean;
  /** Fingerprint of the plan that brought its snapshot. */
  readonly state?: string | undefined;
  /** Fingerprint of the settings that it knows. */
  readonly settings: string | null;
  /** Version of the newest intent that it knows; a watch returns at once for another one. */
  readonly intentVersion?: number | undefined;
  /** Return the first good observation, whatever it holds. */
  readonly once?: boolean;
  /** The number of this watch in the life of its pool's workflow; log lines carry it. */
  readonly cycle?: number;
}

export interface WorkerActivities {
  loadWorker(id: string): Promise<{ row: WorkerRow | null; timings: WorkerTimings }>;
  /** The answer includes the row after the drain, unless the drain was refused. */
  drainWorker(
    id: string,
    order: DrainOrder,
  ): Promise<{ outcome: "drained" | "refused_busy" | "not_living"; busy: boolean; row?: WorkerRow | null }>;
  failWorker(
    id: string,
    cause: LeaseCause,
    reason: string,
    ground: {
      evidence?: Evidence | null;
      heartbeatMs?: number | null;
      progressMs?: number;
      failedSinceMs?: number;
      onlyIfSpawning?: boolean;
    },
  ): Promise<{ outcome: "failed" | "refused_ready" | "refused_recovered" | "not_living"; row?: WorkerRow | null }>;
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
  /** @param timings of the worker's life; its credential and its fuse end with its maximum lifetime. */
  createPod(pool: string, id: string, timings?: WorkerTimings): Promise<CreatePodResult>;
  findPod(id: string): Promise<{ readonly pod: CreatedPod | null }>;
  checkBoot(id: string, podId: string): Promise<{ readonly status: string }>;
  removePod(id: string, podId: string | null): Promise<{ readonly absent: boolean; readonly detail: string }>;
}
