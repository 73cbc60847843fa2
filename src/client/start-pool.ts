import { loadConfig } from "../config/config.ts";
import type { GpuPoolInput } from "../contract/inputs.ts";
import { POOL_WORKFLOW } from "../contract/names.ts";
import { poolStart } from "../contract/pool-start.ts";
import { SEARCH_ATTRIBUTES } from "../contract/search-attributes.ts";
import type { Context } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";
import { describeForeign, FOREIGN_ADVICE } from "./pool-workflow.ts";

const START_TIMEOUT_MS = 15_000;

export interface StartedPool {
  readonly workflowId: string;
  readonly runId: string;
  readonly wasRunning: boolean;
}

/**
 * Starts the pool's workflow, unless it runs.
 * @throws ClientError when Temporal does not answer or lacks the search attributes, or another deployment has the pool
 */
export async function startPool(
  context: Context,
  pool: string,
  input: Omit<GpuPoolInput, "pool">,
): Promise<StartedPool> {
  const { taskQueue } = loadConfig(context.env, { need: [] }).temporal;
  const { client, namespace, within } = await context.connections.temporal();
  const deployment = await context.connections.deployment();
  const options = poolStart({ pool, ...input }, deployment);
  const { workflowId } = options;
  try {
    // The server refuses the start while a run is open, and so answers whether the pool ran already.
    const handle = await within(START_TIMEOUT_MS, () =>
      client.workflow.start(POOL_WORKFLOW, { ...options, taskQueue, workflowIdConflictPolicy: "FAIL" }),
    );
    return { workflowId, runId: handle.firstExecutionRunId, wasRunning: false };
  } catch (error) {
    if (!(error instanceof Error)) {
      throw error;
    }
    if (error.name === "WorkflowExecutionAlreadyStartedError") {
      const { runId, memo } = await within(START_TIMEOUT_MS, () => client.workflow.getHandle(workflowId).describe());
      const foreign = describeForeign(pool, memo, deployment);
      if (foreign !== null) {
        throw new ClientError(EXIT.failed, `pool ${pool} was not started: ${foreign}`, FOREIGN_ADVICE);
      }
      return { workflowId, runId, wasRunning: true };
    }
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    if (/search attribute/i.test(reason)) {
      const names = SEARCH_ATTRIBUTES.map(({ name }) => name).join(", ");
      throw new SearchAttributesMissing(namespace, names, error);
    }
    throw new ClientError(EXIT.unreachable, `Temporal did not start pool ${pool}: ${reason}`, null, { cause: error });
  }
}

/** The Temporal worker registers them when it starts. */
export class SearchAttributesMissing extends ClientError {
  constructor(namespace: string, names: string, cause: Error) {
    super(
      EXIT.failed,
      `Temporal namespace ${namespace} lacks the search attributes ${names}`,
      "Start a Temporal worker once (it registers them), or add them as Keyword; then try again.",
      { cause },
    );
  }
}
