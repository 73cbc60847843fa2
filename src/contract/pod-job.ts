import type { GpuWorkerInput } from "./inputs.ts";
import { workerWorkflowId } from "./names.ts";
import type { PodJobPurpose } from "./pod-job-state.ts";
import type { OwnSettings } from "./pool-settings.ts";
import { GPU_POOL, WORKER_PHASE } from "./search-attributes.ts";

export const POD_JOB_WORKFLOW = "podJob";

export interface PodJobOrder {
  readonly purpose: PodJobPurpose;
  /** The pool's settings that differ for this pod. */
  readonly settings: OwnSettings;
  /** More variables of the pod's environment; none is secret. */
  readonly variables: Readonly<Record<string, string>>;
  /** The job fails when this time since its reservation is over. */
  readonly timeoutSec: number;
  readonly gpuType: string;
  /** By the catalog; null: not known. */
  readonly priceUsdPerHour: number | null;
}

export type PodJobWorkflow = (input: PodJobInput) => Promise<PodJobResult>;

export interface PodJobInput {
  readonly pool: string;
  /** Name of the pod, `<pool>-<8 hexadecimal digits>`, made by the caller. */
  readonly id: string;
  /** Left out where the row is there already. */
  readonly order?: PodJobOrder;
  /** Carried by continue-as-new, as a worker's. */
  readonly carried?: GpuWorkerInput["carried"];
}

export interface PodJobResult {
  readonly id: string;
  /** refused: nothing was rented; unknown: there is no such job. */
  readonly state: "done" | "failed" | "refused" | "unknown";
  readonly reason: string | null;
}

export interface PodJobReservation {
  readonly outcome: "reserved" | "already_reserved" | "over_budget" | "no_funds" | "volume_busy";
  readonly reason: string | null;
}

/** Activities on the main task queue. */
export interface PodJobActivities {
  reservePodJob(pool: string, id: string, order: PodJobOrder): Promise<PodJobReservation>;
}

/** The pool's own workers have the same priority. */
const JOB_PRIORITY = 4;

/** Options for the start of a job's workflow. Its id is that of a worker: orders for a worker reach it too. */
export function podJobStart(pool: string, id: string, order?: PodJobOrder) {
  const args: [PodJobInput] = [order === undefined ? { pool, id } : { pool, id, order }];
  return {
    workflowId: workerWorkflowId(pool, id),
    args,
    priority: { priorityKey: JOB_PRIORITY },
    typedSearchAttributes: [
      { key: GPU_POOL, value: pool },
      { key: WORKER_PHASE, value: "creating" },
    ],
    staticSummary: `${order?.purpose ?? "job"}: pod ${id} of pool ${pool}`,
  };
}
