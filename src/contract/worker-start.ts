import type { Booking, GpuWorkerInput } from "./inputs.ts";
import { workerWorkflowId } from "./names.ts";
import { GPU_POOL, WORKER_PHASE } from "./search-attributes.ts";

/**
 * The pool's priority is 3, and a lower number goes first: operators' messages and decisions never wait behind many
 * workers.
 */
const WORKER_PRIORITY = 4;

/**
 * Options for the start of a worker's workflow, the same for every caller.
 * @param booked given when the row was booked just now.
 */
export function workerStart(pool: string, id: string, booked?: Booking) {
  const input: GpuWorkerInput = booked === undefined ? { pool, id } : { pool, id, booked };
  const args: [GpuWorkerInput] = [input];
  return {
    workflowId: workerWorkflowId(pool, id),
    args,
    priority: { priorityKey: WORKER_PRIORITY },
    typedSearchAttributes: [
      { key: GPU_POOL, value: pool },
      { key: WORKER_PHASE, value: "creating" },
    ],
    staticSummary: `GPU worker ${id} of pool ${pool}`,
  };
}
