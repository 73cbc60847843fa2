import { Context } from "@temporalio/activity";
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from "@temporalio/common";
import type { BulkActivities } from "../contract/activities.ts";
import { DEPLOYMENT } from "../contract/deployment.ts";
import { WORKER_WORKFLOW, workerWorkflowId } from "../contract/names.ts";
import { sendToWorker } from "../contract/worker-api.ts";
import { workerStart } from "../contract/worker-start.ts";
import { outsideTrace } from "./on-trace.ts";

const SIGNALLED_AT_ONCE = 50;
/**
 * With an eager start the server gives the first workflow task to this process, if it has a free slot. More starts at
 * once would only wait in the server.
 */
const STARTED_AT_ONCE = 3;

/** Starts and signals many worker workflows at once. A second attempt repeats some of it, which has no effect. */
export function createBulkActivities(deployment: string): BulkActivities {
  return {
    async startWorkers(pool, ids, booked) {
      const { client, info } = Context.current();
      await inChunks(ids, STARTED_AT_ONCE, async (id) => {
        try {
          const options = {
            ...workerStart(pool, id, booked),
            taskQueue: info.taskQueue,
            memo: { [DEPLOYMENT]: deployment },
            requestEagerStart: true,
          };
          await outsideTrace(() => client.workflow.start(WORKER_WORKFLOW, options));
        } catch (error) {
          if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
            throw error;
          }
        }
      });
    },

    async signalWorkers(pool, actions) {
      const { client } = Context.current();
      const missing: string[] = [];
      await inChunks(actions, SIGNALLED_AT_ONCE, async ({ worker, signal }) => {
        const handle = client.workflow.getHandle(workerWorkflowId(pool, worker));
        try {
          await sendToWorker(handle, signal);
        } catch (error) {
          if (!(error instanceof WorkflowNotFoundError)) {
            throw error;
          }
          missing.push(worker);
        }
      });
      return { missing };
    },
  };
}

async function inChunks<T>(items: readonly T[], size: number, act: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += size) {
    Context.current().heartbeat();
    await Promise.all(items.slice(start, start + size).map(act));
  }
}
