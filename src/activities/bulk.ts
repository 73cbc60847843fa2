import { Context } from "@temporalio/activity";
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from "@temporalio/common";
import type { Logger } from "pino";
import type { BulkActivities } from "../contract/activities.ts";
import { DEPLOYMENT } from "../contract/deployment.ts";
import { WORKER_WORKFLOW, workerWorkflowId } from "../contract/names.ts";
import type { WorkerAction } from "../contract/plan.ts";
import { sendToWorker } from "../contract/worker-api.ts";
import { workerStart } from "../contract/worker-start.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";
import { outsideTrace } from "./on-trace.ts";

const SIGNALLED_AT_ONCE = 50;
/** Claims of these workers wait until all of them are drained: some hundredths of a second. */
const DRAINED_AT_ONCE = 50;
/**
 * With an eager start the server gives the first workflow task to this process, if it has a free slot. More starts at
 * once would only wait in the server.
 */
const STARTED_AT_ONCE = 3;

export interface BulkDeps {
  readonly deployment: string;
  readonly workers: Pick<WorkerStore, "drainMany">;
  readonly logger: Logger;
}

/** Starts and signals many worker workflows at once. A second attempt repeats some of it, which has no effect. */
export function createBulkActivities(deps: BulkDeps): BulkActivities {
  const { deployment } = deps;
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
      const refused = await drainRows(deps, pool, actions);
      const heard = actions.filter(({ worker }) => !refused.has(worker));
      await inChunks(heard, SIGNALLED_AT_ONCE, async ({ worker, signal }) => {
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

/**
 * Drains the rows before the workflows hear of it: a thousand workflows take a minute and more to wake, and each worker
 * could claim a task meanwhile. Without an answer each workflow drains its own row.
 * @returns the workers that refused
 */
async function drainRows(
  { workers, logger }: BulkDeps,
  pool: string,
  actions: readonly WorkerAction[],
): Promise<ReadonlySet<string>> {
  const orders = actions.flatMap(({ worker, signal }) =>
    signal.name === "drain" ? [{ worker, order: signal.order }] : [],
  );
  const refused = new Set<string>();
  try {
    for (const chunk of chunks(orders, DRAINED_AT_ONCE)) {
      for (const worker of await workers.drainMany(chunk)) {
        refused.add(worker);
      }
    }
  } catch (error) {
    logger.warn({ pool, err: error }, "many workers could not be drained at once; each drains by its own workflow");
  }
  return refused;
}

async function inChunks<T>(items: readonly T[], size: number, act: (item: T) => Promise<void>): Promise<void> {
  for (const chunk of chunks(items, size)) {
    await Promise.all(chunk.map(act));
  }
}

/** Each chunk begins with a heartbeat. */
function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) {
    Context.current().heartbeat();
    yield items.slice(start, start + size);
  }
}
