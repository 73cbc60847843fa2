import { setTimeout as delay } from "node:timers/promises";
import type { WorkflowHandleWithFirstExecutionRunId } from "@temporalio/client";
import { loadConfig } from "../config/config.ts";
import type { GpuPoolInput } from "../contract/inputs.ts";
import { POOL_WORKFLOW } from "../contract/names.ts";
import { poolStart } from "../contract/pool-start.ts";
import { SEARCH_ATTRIBUTES } from "../contract/search-attributes.ts";
import type { Context } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";
import { describeForeign, FOREIGN_ADVICE } from "./pool-workflow.ts";

const START_TIMEOUT_MS = 15_000;
const OPENING_TIMEOUT_MS = 2_000;
const OPENING_LOOK_MS = 100;

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
    // Who starts a few rounds waits for their end anyway.
    if (input.rounds === undefined) {
      await refuseWithWorkflow(pool, handle);
    }
    return { workflowId, runId: handle.firstExecutionRunId, wasRunning: false };
  } catch (error) {
    if (!(error instanceof Error) || error instanceof ClientError) {
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

/**
 * Waits until the workflow has opened the pool, or has refused to because its settings cannot work. Without a Temporal
 * worker neither happens, and it is not waited for long.
 * @throws ClientError with the reason of the refusal
 */
async function refuseWithWorkflow(pool: string, handle: WorkflowHandleWithFirstExecutionRunId): Promise<void> {
  const untilMs = Date.now() + OPENING_TIMEOUT_MS;
  while (Date.now() < untilMs) {
    const { status, raw } = await handle.describe();
    if (status.name === "FAILED") {
      const cause: unknown = await handle.result().catch((error: Error) => rootCause(error));
      throw new ClientError(EXIT.failed, `pool ${pool} was not started: ${String(cause)}`, "Change these settings.");
    }
    if (
      status.name !== "RUNNING" ||
      raw.pendingActivities?.some(({ activityType }) => activityType?.name !== "openPool")
    ) {
      return;
    }
    await delay(OPENING_LOOK_MS);
  }
}

function rootCause(error: Error): string {
  return error.cause instanceof Error ? rootCause(error.cause) : error.message;
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
