import type { Command } from "commander";
import type { WorkerOrder, WorkerOrderOutcome } from "../../../contract/messages.ts";
import { externalStore } from "../../../supabase/external-store.ts";
import { addExamples, type Context, jsonOption, poolName, poolOption, type PoolOptions } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain } from "../../render/output.ts";
import { updatePool } from "../../pool-workflow.ts";

type Kind = WorkerOrder["kind"];
type Outcome = WorkerOrderOutcome["outcome"] | "removed";

interface OrderOptions extends PoolOptions {
  readonly reason?: string;
}

/** `drain` and `terminate`, for the pool's own workers and for external ones. */
export function addWorkerOrders(worker: Command, context: Context): void {
  const add = (command: Command, kind: Kind) =>
    command
      .argument("<id>", "as gpu-pool status shows it")
      .option("--reason <text>", "why, for the journal")
      .addOption(poolOption())
      .addOption(jsonOption())
      .action(async (id: string, options: OrderOptions) => await order(context, kind, id, options));
  const drain = add(worker.command("drain"), "drain").description("let a worker finish its task, then end it");
  addExamples(drain, [
    ["gpu-pool worker drain main-0a1b2c3d", "the pool books another if it needs one"],
    ["gpu-pool worker drain box-one --reason 'its owner is back'", "a machine that the pool did not rent"],
  ]);
  const terminate = add(worker.command("terminate").alias("remove"), "terminate").description(
    "end a worker now; its task goes back to the queue, uncounted",
  );
  addExamples(terminate, [
    ["gpu-pool worker terminate main-0a1b2c3d", "its pod is deleted and seen to be gone"],
    ["gpu-pool worker terminate box-one", "its registration and its token end; its machine is left alone"],
  ]);
}

async function order(context: Context, kind: Kind, id: string, options: OrderOptions): Promise<void> {
  const pool = poolName(context, options);
  const reason = options.reason ?? `${kind === "drain" ? "drained" : "terminated"} by an operator`;
  const { outcome, status } = await give(context, pool, { kind, worker: id, reason });
  if (options.json) {
    context.output.printJson({ pool, worker: id, outcome, status });
  }
  const said = describeOutcome(pool, { kind, worker: id }, { outcome, status });
  if (said.failed) {
    throw new ClientError(EXIT.failed, said.text, "gpu-pool status shows the living workers of a pool.");
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
    const payload = { worker, reason };
    const doing = `worker ${kind}`;
    const answer = await updatePool<WorkerOrderOutcome>(context, pool, { name: `${kind}Worker`, payload, doing });
    // The pool only drains what is not its own to end.
    return kind === "terminate" && answer.outcome === "external" ? await orderExternal(context, given) : answer;
  } catch (error) {
    if (!(error instanceof ClientError) || error.exitCode !== EXIT.unreachable) {
      throw error;
    }
    // What kept the pool from answering matters more than what may be wrong with the database too.
    const answer = await orderExternal(context, given).catch(() => null);
    if (answer === null || answer.outcome === "not_living") {
      throw error;
    }
    return answer;
  }
}

/** In the database alone, where nobody decides about the pool: an external worker has no workflow that would be told. */
async function orderExternal(context: Context, { kind, worker, reason }: WorkerOrder): Promise<Answer> {
  const store = externalStore(await context.connections.database());
  if (kind === "terminate") {
    const outcome = await store.remove(worker, reason);
    return { outcome, status: outcome === "removed" ? "terminated" : null };
  }
  const { outcome } = await store.drain(worker, reason);
  return outcome === "drained" ? { outcome: "external", status: "terminating" } : { outcome, status: null };
}

/** What became of an order about one worker, in words. */
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
