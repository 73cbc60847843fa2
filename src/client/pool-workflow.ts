import { setTimeout as sleep } from "node:timers/promises";
import type { WorkflowHandle } from "@temporalio/client";
import type { QueryDefinition } from "@temporalio/common";
import type { Look } from "../contract/activities.ts";
import { deploymentOf } from "../contract/deployment.ts";
import { poolWorkflowId } from "../contract/names.ts";
import type { Connections } from "./connections.ts";
import type { Context } from "./context.ts";
import { missingPool } from "./missing-pool.ts";
import { ClientError, EXIT } from "./errors.ts";
import { lookOf } from "./render/freshness.ts";

const UPDATE_TIMEOUT_MS = 15_000;
const UPDATE_PAUSE_MS = 500;
/** A busy server refuses calls for some seconds, in which the SDK repeats them. */
const NEEDED_ANSWER_TIMEOUT_MS = 15_000;
/** For a command that says what it knows without the answer. */
const QUERY_TIMEOUT_MS = 3_000;
export const FOREIGN_ADVICE =
  "Name the pools of two deployments in one namespace apart (GPU_POOL, --pool), or check SUPABASE_URL and TEMPORAL_NAMESPACE.";

/** The answer of a pool's workflow to a query, or why there is none. */
export type Asked<T> =
  | { readonly state: "answers"; readonly answer: T; readonly look: Look | null }
  | { readonly state: "silent" | "not_running" | "unreachable" | "foreign"; readonly reason: string };

/** Queries a pool's workflow, if it runs. Temporal may answer for an ended one, but that answer is out of date. */
export async function askPool<T>(
  connections: Connections,
  pool: string,
  query: QueryDefinition<T>,
  timeoutMs = QUERY_TIMEOUT_MS,
): Promise<Asked<T>> {
  try {
    const { client, within } = await connections.temporal();
    const handle = client.workflow.getHandle(poolWorkflowId(pool));
    const [{ status, raw, memo }, own] = await Promise.all([
      within(timeoutMs, () => handle.describe()),
      connections.deployment(),
    ]);
    const foreign = describeForeign(pool, memo, own);
    if (foreign !== null) {
      return { state: "foreign", reason: foreign };
    }
    if (status.name !== "RUNNING") {
      return { state: "not_running", reason: `its workflow is ${status.name.toLowerCase()}` };
    }
    try {
      const answer = await within(timeoutMs, () => handle.query(query));
      return { state: "answers", answer, look: lookOf(raw.pendingActivities ?? []) };
    } catch {
      return { state: "silent", reason: "its workflow is open, but no Temporal worker answers" };
    }
  } catch (error) {
    if (error instanceof ClientError && error.exitCode === EXIT.usage) {
      throw error;
    }
    return error instanceof Error && error.name === "WorkflowNotFoundError"
      ? { state: "not_running", reason: "it has no workflow" }
      : { state: "unreachable", reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Says that a pool's workflow belongs to another deployment; null: as far as can be known it is ours. */
export function describeForeign(
  pool: string,
  memo: Readonly<Record<string, unknown>> | undefined,
  own: string | null,
): string | null {
  const of = deploymentOf(memo);
  return of === null || own === null || of === own
    ? null
    : `workflow ${poolWorkflowId(pool)} belongs to deployment ${of}, and this command's database is deployment ${own}`;
}

/** As askPool, for a command that needs the answer. @throws ClientError */
export async function requireAnswer<T>(context: Context, pool: string, query: QueryDefinition<T>): Promise<T> {
  const asked = await askPool(context.connections, pool, query, NEEDED_ANSWER_TIMEOUT_MS);
  if (asked.state === "answers") {
    return asked.answer;
  }
  const { state, reason } = asked;
  const problem = `pool ${pool} does not answer: ${reason}`;
  switch (state) {
    case "not_running":
      throw await missingPool(context, pool, problem);
    case "foreign":
      throw new ClientError(EXIT.failed, problem, FOREIGN_ADVICE);
    case "silent":
      throw new ClientError(EXIT.unreachable, problem, "Start a Temporal worker: gpu-pool run");
    case "unreachable":
      throw new ClientError(EXIT.unreachable, reason);
  }
}

/**
 * Gives one order to the pool's workflow and waits for the answer.
 * @param doing what an error calls the order.
 * @param send sends the update, one of contract/pool-api.ts.
 * @throws ClientError when the pool refuses, or no workflow or no Temporal worker takes the order
 */
export async function updatePool<T>(
  context: Context,
  pool: string,
  doing: string,
  send: (workflow: WorkflowHandle) => Promise<T>,
): Promise<T> {
  const { connections } = context;
  const { client, within } = await connections.temporal();
  const handle = client.workflow.getHandle(poolWorkflowId(pool));
  let foreign: string | null;
  try {
    const [{ memo }, own] = await Promise.all([
      within(NEEDED_ANSWER_TIMEOUT_MS, () => handle.describe()),
      connections.deployment(),
    ]);
    foreign = describeForeign(pool, memo, own);
    if (foreign === null) {
      return await betweenWorkflowTasks((leftMs) => within(leftMs, () => send(handle)));
    }
  } catch (error) {
    throw await updateError(context, pool, doing, error);
  }
  throw new ClientError(EXIT.failed, `${doing}: ${foreign}`, FOREIGN_ADVICE);
}

/** Repeats an update while the server takes none because the last workflow task has failed, as in a flood of large signals. */
async function betweenWorkflowTasks<T>(send: (leftMs: number) => Promise<T>): Promise<T> {
  const deadlineMs = Date.now() + UPDATE_TIMEOUT_MS;
  for (;;) {
    try {
      return await send(deadlineMs - Date.now());
    } catch (error) {
      const { cause } = error instanceof Error ? error : {};
      const passes = cause instanceof Error && cause.message.includes("Workflow Task in failed state");
      if (!passes || Date.now() + UPDATE_PAUSE_MS >= deadlineMs) {
        throw error;
      }
      await sleep(UPDATE_PAUSE_MS);
    }
  }
}

async function updateError(context: Context, pool: string, doing: string, error: unknown): Promise<ClientError> {
  const { name, message, cause } = error instanceof Error ? error : new Error(String(error));
  if (name === "WorkflowNotFoundError") {
    return await missingPool(context, pool, `${doing}: pool ${pool} does not run`);
  }
  if (name === "WorkflowUpdateRPCTimeoutOrCancelledError") {
    return new ClientError(
      EXIT.unreachable,
      `${doing}: no Temporal worker answered for pool ${pool} within ${UPDATE_TIMEOUT_MS / 1000} s`,
      "Start one (gpu-pool run; gpu-pool dev brings its own), then see gpu-pool status and repeat the order if need be.",
      { cause: error },
    );
  }
  const reason = cause instanceof Error ? cause.message : message;
  return name === "WorkflowUpdateFailedError"
    ? new ClientError(EXIT.failed, `${doing}: pool ${pool} refused: ${reason}`, null, { cause: error })
    : new ClientError(EXIT.unreachable, `${doing}: Temporal failed for pool ${pool}: ${reason}`, null, {
        cause: error,
      });
}
