import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import { getExternalWorkflowHandle, ParentClosePolicy, startChild } from "@temporalio/workflow";
import type { Booking } from "../../contract/inputs.ts";
import { workerWorkflowId } from "../../contract/names.ts";
import type { WorkerAction } from "../../contract/plan.ts";
import { sendToWorker, type WorkerSignal } from "../../contract/worker-api.ts";
import { workerStart } from "../../contract/worker-start.ts";
import { gpuWorker } from "../worker/gpu-worker.ts";
import { bulkActivities } from "./activities.ts";

/** The server limits the events that it buffers during one workflow task. */
const SIGNALLED_ONE_BY_ONE = 50;
/** More workers are started by an activity: as children they would fill the pool's history and wake it at start and end. */
const STARTED_AS_CHILDREN = 20;

/**
 * Starts the workflow of each worker; one that runs already is left alone.
 * @param booked given when their rows were booked just now.
 */
export async function startWorkers(pool: string, ids: readonly string[], booked?: Booking): Promise<void> {
  if (ids.length > STARTED_AS_CHILDREN) {
    await bulkActivities.startWorkers(pool, ids, ...(booked === undefined ? [] : [booked]));
    return;
  }
  await Promise.all(ids.map(startWorker));

  async function startWorker(id: string): Promise<void> {
    try {
      await startChild(gpuWorker, {
        ...workerStart(pool, id, booked),
        // Workers must outlive every run of their pool, also one that continues as new.
        parentClosePolicy: ParentClosePolicy.ABANDON,
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        throw error;
      }
    }
  }
}

/**
 * Signals workers. A missing workflow is started again; its signal comes with the next decision. Many workers are
 * signalled by one activity: a signal from here costs the pool's history two events.
 */
export async function signalWorkers(pool: string, actions: readonly WorkerAction[]): Promise<void> {
  if (actions.length > SIGNALLED_ONE_BY_ONE) {
    const { missing } = await bulkActivities.signalWorkers(pool, actions);
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

/** Signals one worker for an operator; a missing workflow is started first. */
export async function orderWorker(pool: string, worker: string, signal: WorkerSignal): Promise<void> {
  try {
    await send(pool, worker, signal);
  } catch {
    await startWorkers(pool, [worker]);
    await send(pool, worker, signal);
  }
}

async function send(pool: string, worker: string, signal: WorkerSignal): Promise<void> {
  await sendToWorker(getExternalWorkflowHandle(workerWorkflowId(pool, worker)), signal);
}
