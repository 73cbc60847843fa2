import type { Command } from "commander";
import type { Intent, Message } from "../contract/messages.ts";
import { poolWorkflowId } from "../contract/names.ts";
import { type Context, poolName, type PoolOptions, startCommand } from "./context.ts";
import { formatDuration } from "./durations.ts";
import { ClientError, EXIT } from "./errors.ts";

const ORDER_TIMEOUT_MS = 15_000;

interface Order {
  readonly kind: Exclude<Message["kind"], "shutdown">;
  /** Of scale. */
  readonly payload?: { readonly target: number | null; readonly for?: number };
}

/** Gives one order to the pool's workflow and prints what holds from now on. */
export async function giveOrder(context: Context, options: PoolOptions, order: Order): Promise<void> {
  const pool = poolName(context, options);
  const intent = await sendOrder(context, pool, order);
  if (options.json) {
    context.output.printJson({ pool, ...intent });
  } else {
    context.output.print(`pool ${pool}: ${describeIntent(intent, Date.now())}`);
  }
}

/** A subcommand that takes nothing but the pool's name. */
export function orderAction(command: Command, context: Context, kind: Exclude<Order["kind"], "scale">): void {
  command.action(async (options: PoolOptions) => await giveOrder(context, options, { kind }));
}

async function sendOrder(context: Context, pool: string, { kind, payload }: Order): Promise<Intent> {
  const { client, within } = await context.connections.temporal();
  const handle = client.workflow.getHandle(poolWorkflowId(pool));
  try {
    return await within(ORDER_TIMEOUT_MS, () =>
      payload === undefined
        ? handle.executeUpdate<Intent, []>(kind)
        : handle.executeUpdate<Intent, [typeof payload]>(kind, { args: [payload] }),
    );
  } catch (error) {
    throw orderError(pool, kind, error);
  }
}

function orderError(pool: string, kind: string, error: unknown): ClientError {
  const { name, message, cause } = error instanceof Error ? error : new Error(String(error));
  if (name === "WorkflowNotFoundError") {
    return new ClientError(EXIT.unreachable, `${kind}: pool ${pool} does not run`, `start it: ${startCommand(pool)}`);
  }
  if (name === "WorkflowUpdateRPCTimeoutOrCancelledError") {
    return new ClientError(
      EXIT.unreachable,
      `${kind}: no Temporal worker answered for pool ${pool} within ${ORDER_TIMEOUT_MS / 1000} s`,
      "Start one (gpu-pool dev brings its own), then see gpu-pool status and repeat the order if need be.",
      { cause: error },
    );
  }
  const reason = cause instanceof Error ? cause.message : message;
  return name === "WorkflowUpdateFailedError"
    ? new ClientError(EXIT.failed, `${kind}: pool ${pool} refused: ${reason}`, null, { cause: error })
    : new ClientError(EXIT.unreachable, `${kind}: Temporal failed for pool ${pool}: ${reason}`, null, { cause: error });
}

/** What operators want of a pool, in words. */
export function describeIntent({ mode, hold, holdUntilMs }: Intent, nowMs: number): string {
  const until = holdUntilMs === null ? "" : ` for another ${formatDuration(holdUntilMs - nowMs)}`;
  const held = hold === null ? null : `held at ${hold}${until}`;
  switch (mode) {
    case "normal":
      return held ?? "normal, the policy decides its size";
    case "draining":
      return `draining to zero, stays there until gpu-pool resume${held === null ? "" : `; then ${held}`}`;
    case "paused":
      return `paused, no scaling either way until gpu-pool resume${held === null ? "" : `; then ${held}`}`;
    case "closing":
      return "closing: draining to zero, then its workflow ends";
  }
}
