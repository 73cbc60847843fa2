import type { CycleSummary } from "./cycle-summary.ts";
import type { Explanation } from "./explanations.ts";
import type { Intent } from "./intent.ts";
import type { PodJobState } from "./pod-job-state.ts";
import type { MessageOutcome } from "./pool-api.ts";
import type { SettingsView, Snapshot } from "./plan.ts";
import type { SignalBatch } from "./signal-batch.ts";
import type { WorkerSignal } from "./worker-api.ts";

/** @returns the last round's summary, where the input asks for a number of rounds; nothing after a shutdown. */
export type GpuPoolWorkflow = (input: GpuPoolInput) => Promise<CycleSummary | undefined>;

export type GpuWorkerWorkflow = (input: GpuWorkerInput) => Promise<GpuWorkerResult>;

export interface GpuPoolInput {
  readonly pool: string;
  /** Settings of this pool (keys as in docs/configuration.md); they override the stored ones. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Events after which the workflow continues as new; default 1,000. */
  readonly maxHistoryLength?: number;
  /** Observations after which the workflow ends; default: it goes on. */
  readonly rounds?: number;
  /** Nobody ordered this start: a pool that was shut down stays so. */
  readonly woken?: boolean;
  /** Carried by continue-as-new. */
  readonly carried?: {
    readonly snapshot: Snapshot | null;
    readonly state?: string | undefined;
    readonly settings?: SettingsView | null;
    readonly intent?: Intent | null;
    readonly decisions?: readonly Explanation[];
    /** Explains the latest observation, also where nothing was to be done. */
    readonly latest?: Explanation | null;
    readonly watches: number;
    /** Messages so far, of all runs; signals: those of them that were signals. */
    readonly messages: number;
    readonly signals?: number;
    /** Signals that are not known to be written yet. */
    readonly waiting?: SignalBatch | undefined;
    readonly recent?: readonly MessageOutcome[];
  };
}

export interface GpuWorkerInput {
  readonly pool: string;
  readonly id: string;
  /** Given when the row was booked just now, so that it need not be read. */
  readonly booked?: Booking;
  /** Carried by continue-as-new. */
  readonly carried?: {
    /** The order that was not carried out yet. */
    readonly order: Exclude<WorkerSignal, { readonly name: "ready" | "released" }> | null;
    readonly released: boolean;
  };
}

/** Common to the rows of one reservation. */
export interface Booking {
  /** By the database's clock. */
  readonly atMs: number;
  readonly timings: WorkerTimings;
}

export interface GpuWorkerResult {
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
}

export const WORKER_STATUSES = ["spawning", "active", "terminating", "terminated", "error"] as const;
export type WorkerStatus = (typeof WORKER_STATUSES)[number];

/** A worker's row as its lifecycle workflow sees it; ages count from nowMs, the database's clock. */
export interface WorkerRow {
  readonly nowMs: number;
  readonly id: string;
  readonly status: WorkerStatus;
  readonly podId: string | null;
  readonly postState: "posting" | "posted" | "burned" | null;
  readonly postedMs: number | null;
  readonly createdMs: number;
  readonly readyMs: number | null;
  readonly bootStage: string;
  readonly bootStageMs: number;
  readonly terminatingMs: number | null;
  /** It drains until its task ends, and no shutdown deadline ends the task. */
  readonly drainsWithoutDeadline: boolean;
  readonly goneMs: number | null;
  readonly statusReason: string | null;
  readonly busy: boolean;
  /** Left out where it is a GPU worker. */
  readonly job?: PodJobState;
}

/** Deadlines of a worker's life as the settings had them when its workflow began. */
export interface WorkerTimings {
  readonly spawningTimeoutSec: number;
  /** Left out by an older version: as spawningTimeoutSec. */
  readonly bootPullingTimeoutSec?: number;
  readonly bootInstallingTimeoutSec?: number;
  readonly bootLoadingTimeoutSec?: number;
  readonly gracefulShutdownTimeoutSec: number;
  readonly workerMaxLifetimeSec: number;
  readonly podListLagSec: number;
  readonly podSettleSec: number;
}
