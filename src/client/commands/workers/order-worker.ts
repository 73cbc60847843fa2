import { poolUpdates, type WorkerOrder, type WorkerOrderOutcome } from "../../../contract/pool-api.ts";
import { DatabaseError } from "../../../supabase/database-error.ts";
import { externalStore } from "../../../supabase/external-store.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain } from "../../render/output.ts";
import { findWorker } from "../../find-by-prefix.ts";
import { updatePool } from "../../pool-workflow.ts";

type Kind = WorkerOrder["kind"];
type Outcome = WorkerOrderOutcome["outcome"] | "removed";

export interface OrderOptions extends PoolOptions {
  readonly reason?: string;
}

/** @throws ClientError, also when there is no such living worker */
export async function orderWorker(context: Context, kind: Kind, given: string, options: OrderOptions): Promise<void> {
  const worker = await findWorker(context, given).catch((error: unknown) => {
    if (error instanceof DatabaseError) {
      // The pool's workflow takes the order without the database.
      return { id: given, pool: null };
    }
    throw error;
  });
  const { id } = worker;
  const pool = options.pool === undefined && worker.pool !== null ? worker.pool : poolName(context, options);
  const reason = options.reason ?? `${kind === "drain" ? "drained" : "terminated"} by an operator`;
  const { outcome, status } = await give(context, pool, { kind, worker: id, reason });
  if (options.json) {
    context.output.printJson({ pool, worker: id, outcome, status });
  }
  const said = describeOutcome(pool, { kind, worker: id }, { outcome, status });
  if (said.failed) {
    const exitCode = outcome === "unknown" ? EXIT.notFound : EXIT.failed;
    throw new ClientError(exitCode, said.text, "gpu-pool workers lists the living ones.");
  }
  if (!options.json) {
    context.output.print(said.text);
  }
}

interface Answer {
  readonly outcome: Outcome;
  readonly status: string | null;
}

async function give(context: Context, pool: string, given: WorkerOrder): Promise<Answer> {
  const { kind, worker, reason } = given;
  try {
    const update = kind === "drain" ? poolUpdates.drainWorker : poolUpdates.terminateWorker;
    const answer = await updatePool(context, pool, `worker ${kind}`, (workflow) =>
      workflow.executeUpdate(update, { args: [{ worker, reason }] }),
    );
    // A pool cannot end an external worker, it can only drain it.
    return kind === "terminate" && answer.outcome === "external" ? await orderExternal(context, given) : answer;
  } catch (error) {
    if (!(error instanceof ClientError) || (error.exitCode !== EXIT.unreachable && error.exitCode !== EXIT.notFound)) {
      throw error;
    }
    // If the database fails too, the user needs the first error: why the pool does not answer.
    const answer = await orderExternal(context, given).catch(() => null);
    if (answer === null || answer.outcome === "not_living") {
      throw error;
    }
    return answer;
  }
}

/** Gives the order in the database alone: an external worker has no workflow, so no running pool is needed. */
async function orderExternal(context: Context, { kind, worker, reason }: WorkerOrder): Promise<Answer> {
  const store = externalStore(await context.connections.database());
  if (kind === "terminate") {
    const outcome = await store.remove(worker, reason);
    return { outcome, status: outcome === "removed" ? "terminated" : null };
  }
  const { outcome } = await store.drain(worker, reason);
  return outcome === "drained" ? { outcome: "external", status: "terminating" } : { outcome, status: null };
}

/** The outcome of an order about one worker, in words. */
export function describeOutcome(
  pool: string,
  { kind, worker }: Pick<WorkerOrder, "kind" | "worker">,
  { outcome, status }: Answer,
): { readonly text: string; readonly failed: boolean } {
  const id = `worker ${plain(worker)}`;
  const said = (text: string) => ({ text: `${id}${text}`, failed: false });
  switch (outcome) {
    case "ordered":
      return said(kind === "drain" ? ": draining" : ": terminating, its task goes back to the queue");
    case "external":
      return said(": draining");
    case "removed":
      return said(": removed");
    case "already_leaving":
      return said(`: leaves already${status === null ? "" : ` (${status})`}`);
    case "not_living":
      return { text: `${id} is no longer living${status === null ? "" : ` (${status})`}`, failed: true };
    case "unknown":
      return { text: `pool ${pool} has no ${id}`, failed: true };
  }
}
