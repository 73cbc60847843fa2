import type { Booking, GpuWorkerInput } from "./inputs.ts";
import { workerWorkflowId } from "./names.ts";
import { GPU_POOL, WORKER_PHASE } from "./search-attributes.ts";

/** Below the pool's own, which is 3: what operators say and what the watch decides goes before a crowd of workers. */
const WORKER_PRIORITY = 4;

/**
 * How a worker's lifecycle workflow is started, whoever starts it.
 * @param booked where it was booked just now.
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
