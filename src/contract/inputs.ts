import type { CycleSummary } from "./cycle-summary.ts";
import type { Explanation } from "./explanations.ts";
import type { SettingsView, Snapshot } from "./plan.ts";

/** @returns what the last round did, where the input asks for a number of rounds; nothing after a shutdown. */
export type GpuPoolWorkflow = (input: GpuPoolInput) => Promise<CycleSummary | undefined>;

export type GpuWorkerWorkflow = (input: GpuWorkerInput) => Promise<GpuWorkerResult>;

export interface GpuPoolInput {
  readonly pool: string;
  /** Partial settings of this pool, laid over the stored ones (keys as in docs/configuration.md). */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Continue as new after this many events instead of after the usual number. */
  readonly maxHistoryLength?: number;
  /** End after this many observations, instead of never, with a CycleSummary as the result. */
  readonly rounds?: number;
  /** Carried by continue-as-new. */
  readonly carried?: {
    readonly snapshot: Snapshot | null;
    readonly state?: string | undefined;
    readonly settings?: SettingsView | null;
    readonly decisions?: readonly Explanation[];
    /** Of the latest observation, also where nothing was to be done. */
    readonly latest?: Explanation | null;
    readonly watches: number;
    readonly messages: number;
  };
}

export interface GpuWorkerInput {
  readonly pool: string;
  readonly id: string;
  /** Given where its row was booked just now, so that it need not be read. */
  readonly booked?: Booking;
}

/** What the rows of one reservation have in common. */
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

/** A worker's row as its lifecycle workflow sees it; ages count from nowMs, the database's clock. */
export interface WorkerRow {
  readonly nowMs: number;
  readonly id: string;
  readonly status: "spawning" | "active" | "terminating" | "terminated" | "error";
  readonly podId: string | null;
  readonly postState: "posting" | "posted" | "burned" | null;
  readonly postedMs: number | null;
  readonly createdMs: number;
  readonly readyMs: number | null;
  readonly bootStage: string;
  readonly bootStageMs: number;
  readonly terminatingMs: number | null;
  /** It leaves after its task, which no deadline ends. */
  readonly drainsWithoutDeadline: boolean;
  readonly goneMs: number | null;
  readonly statusReason: string | null;
  readonly busy: boolean;
}

/** Deadlines of a worker's life, from the configuration at the time it is read. */
export interface WorkerTimings {
  readonly spawningTimeoutSec: number;
  readonly gracefulShutdownTimeoutSec: number;
  readonly workerMaxLifetimeSec: number;
  readonly podListLagSec: number;
  readonly podSettleSec: number;
}
