import { Context } from "@temporalio/activity";
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from "@temporalio/common";
import type { CrowdActivities } from "../contract/activities.ts";
import { WORKER_WORKFLOW, workerWorkflowId } from "../contract/names.ts";
import { signalArguments } from "../contract/plan.ts";
import { workerStart } from "../contract/worker-start.ts";

const SIGNALLED_AT_ONCE = 50;
/** Few: a start brings its first workflow task along while this process has a place for it; more only queue in the server. */
const STARTED_AT_ONCE = 3;

/** What concerns many workers at once. A second attempt does some of it again, which is without effect. */
export function createCrowdActivities(): CrowdActivities {
  return {
    async startWorkers(pool, ids, booked) {
      const { client, info } = Context.current();
      await inChunks(ids, STARTED_AT_ONCE, async (id) => {
        try {
          await client.workflow.start(WORKER_WORKFLOW, {
            ...workerStart(pool, id, booked),
            taskQueue: info.taskQueue,
            requestEagerStart: true,
          });
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
          await handle.signal(signal.name, ...signalArguments(signal));
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
