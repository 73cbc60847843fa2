/** Names that workflows, activities and clients agree on. */

export const POOL_WORKFLOW = "gpuPool";
export const WORKER_WORKFLOW = "gpuWorker";

export function poolWorkflowId(pool: string): string {
  return `gpu-pool/${pool}`;
}

export function workerWorkflowId(pool: string, worker: string): string {
  return `gpu-pool/${pool}/worker/${worker}`;
}

/** Calls to Runpod have a queue of their own, so that a slow provider never starves the watch. */
export function runpodTaskQueue(taskQueue: string): string {
  return `${taskQueue}-runpod`;
}
