import type { Command } from "commander";
import type { Message, PoolConfig } from "../../../contract/messages.ts";
import type { Intent } from "../../../contract/intent.ts";
import { settingsAt } from "../../../policy/schedule.ts";
import type { PolicySettings } from "../../../policy/settings.ts";
import { type Context, poolName, type PoolOptions } from "../../context.ts";
import { describeIntent } from "../../render/intent.ts";
import { askPool, updatePool } from "../../pool-workflow.ts";

interface Order {
  readonly kind: Exclude<Message["kind"], "shutdown">;
  /** Of scale. */
  readonly payload?: { readonly target: number | null; readonly for?: number };
}

/** Gives one order to the pool's workflow and prints what holds from now on. */
export async function giveOrder(context: Context, options: PoolOptions, order: Order): Promise<void> {
  const pool = poolName(context, options);
  const { kind: name, payload } = order;
  const intent = await updatePool<Intent>(context, pool, { name, payload });
  const max = name === "scale" ? await maxInForce(context, pool) : null;
  const cappedAt = max !== null && intent.hold !== null && intent.hold > max ? max : null;
  if (options.json) {
    context.output.printJson({ pool, ...intent, ...(name === "scale" ? { cappedAt } : {}) });
  } else {
    const capped = cappedAt === null ? "" : `; capped by MAX at ${cappedAt}`;
    context.output.print(`pool ${pool}: ${describeIntent(intent, Date.now())}${capped}`);
  }
}

/** MAX as it is now; null: the pool's controller does not know its settings yet. */
async function maxInForce(context: Context, pool: string): Promise<number | null> {
  const asked = await askPool<PoolConfig>(context.connections, pool, "config");
  const values = asked.state === "answers" ? asked.answer.settings?.values : undefined;
  return values === undefined
    ? null
    : settingsAt(values as unknown as PolicySettings, Date.now()).settings.maxActiveGpus;
}

/** A subcommand that takes nothing but the pool's name. */
export function orderAction(command: Command, context: Context, kind: Exclude<Order["kind"], "scale">): void {
  command.action(async (options: PoolOptions) => await giveOrder(context, options, { kind }));
}
