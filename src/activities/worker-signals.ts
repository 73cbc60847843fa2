import { Context } from "@temporalio/activity";
import { WorkflowNotFoundError } from "@temporalio/common";
import type { PoolActivities } from "../contract/activities.ts";
import { workerWorkflowId } from "../contract/names.ts";
import { signalArguments } from "../contract/plan.ts";

const AT_ONCE = 50;

/** Tells many workers at once. A second attempt tells some of them again, which each of them takes in its stride. */
export function createSignalActivity(): Pick<PoolActivities, "signalWorkers"> {
  return {
    async signalWorkers(pool, actions) {
      const context = Context.current();
      const missing: string[] = [];
      for (let start = 0; start < actions.length; start += AT_ONCE) {
        context.heartbeat();
        await Promise.all(
          actions.slice(start, start + AT_ONCE).map(async ({ worker, signal }) => {
            const handle = context.client.workflow.getHandle(workerWorkflowId(pool, worker));
            try {
              await handle.signal(signal.name, ...signalArguments(signal));
            } catch (error) {
              if (!(error instanceof WorkflowNotFoundError)) {
                throw error;
              }
              missing.push(worker);
            }
          }),
        );
      }
      return { missing };
    },
  };
}
