import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import {
  getExternalWorkflowHandle,
  ParentClosePolicy,
  patched,
  proxyActivities,
  startChild,
} from "@temporalio/workflow";
import type { PoolActivities } from "../contract/activities.ts";
import type { Booking } from "../contract/inputs.ts";
import { workerWorkflowId } from "../contract/names.ts";
import { signalArguments, type WorkerAction, type WorkerSignal } from "../contract/plan.ts";
import { GPU_POOL, WORKER_PHASE } from "../contract/search-attributes.ts";
import { gpuWorker } from "./gpu-worker.ts";

/** Below the server's limit of events buffered during one workflow task. */
const CHUNK = 50;
/** Measured with two pools of 500: by twenties all are up a twelfth sooner than by fifties, by tens no sooner. */
const STARTED_AT_ONCE = 20;

/** Below the pool's own, which is 3: what operators say and what the watch decides goes before a crowd of workers. */
const WORKER_PRIORITY = 4;

/**
 * Starts the lifecycle workflow of each worker; one that runs already is left alone.
 * @param booked where they were booked just now.
 */
export async function startWorkers(pool: string, ids: readonly string[], booked?: Booking): Promise<void> {
  const atOnce = ids.length > STARTED_AT_ONCE && patched("workers-started-by-twenties") ? STARTED_AT_ONCE : CHUNK;
  for (let start = 0; start < ids.length; start += atOnce) {
    await Promise.all(ids.slice(start, start + atOnce).map(startWorker));
  }

  async function startWorker(id: string): Promise<void> {
    try {
      await startChild(gpuWorker, {
        workflowId: workerWorkflowId(pool, id),
        args: [booked === undefined ? { pool, id } : { pool, id, booked }],
        priority: { priorityKey: WORKER_PRIORITY },
        // Workers outlive every run of their pool; continue-as-new would otherwise kill them.
        parentClosePolicy: ParentClosePolicy.ABANDON,
        typedSearchAttributes: [
          { key: GPU_POOL, value: pool },
          { key: WORKER_PHASE, value: "creating" },
        ],
        staticSummary: `GPU worker ${id} of pool ${pool}`,
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        throw error;
      }
    }
  }
}

const { signalWorkers: signalCrowd } = proxyActivities<Pick<PoolActivities, "signalWorkers">>({
  startToCloseTimeout: "5m",
  heartbeatTimeout: "30s",
  retry: { initialInterval: "250ms", maximumInterval: "30s" },
  summary: "tell many workers",
});

/**
 * Signals workers; one whose workflow is missing gets it back, and the signal with the next decision. A crowd is told by
 * one activity: signals from here cost the pool's history two events each, and wait for the crowd that they wake.
 */
export async function signalWorkers(pool: string, actions: readonly WorkerAction[]): Promise<void> {
  if (actions.length > CHUNK) {
    const { missing } = await signalCrowd(pool, actions);
    await startWorkers(pool, missing);
    return;
  }
  const missing: string[] = [];
  await Promise.all(
    actions.map(async ({ worker, signal }) => {
      try {
        await send(pool, worker, signal);
      } catch {
        missing.push(worker);
      }
    }),
  );
  await startWorkers(pool, missing);
}

/** Tells one worker what an operator ordered, whether or not its workflow was still there. */
export async function orderWorker(pool: string, worker: string, signal: WorkerSignal): Promise<void> {
  try {
    await send(pool, worker, signal);
  } catch {
    await startWorkers(pool, [worker]);
    await send(pool, worker, signal);
  }
}

async function send(pool: string, worker: string, signal: WorkerSignal): Promise<void> {
  await getExternalWorkflowHandle(workerWorkflowId(pool, worker)).signal(signal.name, ...signalArguments(signal));
}
