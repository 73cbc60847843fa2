import { type Client, WorkflowExecutionAlreadyStartedError } from "@temporalio/client";
import { POOL_WORKFLOW } from "../contract/names.ts";
import { poolStart } from "../contract/pool-start.ts";

const WITHIN_MS = 10_000;

/**
 * Starts one round of a pool's workflow, as `gpu-pool cycle` does, but a pool that was shut down stays so. Where the pool's
 * workflow runs already, nothing is to be done.
 */
export async function wakePool(client: Client, taskQueue: string, deployment: string, pool: string): Promise<void> {
  const options = { ...poolStart({ pool, rounds: 1, woken: true }, deployment), taskQueue };
  try {
    await client.withDeadline(Date.now() + WITHIN_MS, () =>
      client.workflow.start(POOL_WORKFLOW, { ...options, workflowIdConflictPolicy: "FAIL" }),
    );
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
      throw error;
    }
  }
}
