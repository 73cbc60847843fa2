import type { UpdateDefinition } from "@temporalio/common";
import type { Command } from "commander";
import type { Intent } from "../../../contract/intent.ts";
import { type Context, poolName, type PoolOptions } from "../../context.ts";
import { updatePool } from "../../pool-workflow.ts";
import { describeIntent } from "../../render/intent.ts";

/** Gives a subcommand without arguments its action: it sends the order and prints the new intent. */
export function orderAction(command: Command, context: Context, order: UpdateDefinition<Intent>): void {
  command.action(async (options: PoolOptions) => {
    const pool = poolName(context, options);
    const intent = await updatePool(context, pool, order.name, (workflow) => workflow.executeUpdate(order));
    if (options.json) {
      context.output.printJson({ pool, ...intent });
    } else {
      context.output.print(`pool ${pool}: ${describeIntent(intent, Date.now())}`);
    }
  });
}
