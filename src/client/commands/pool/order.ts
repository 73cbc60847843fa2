import { poolUpdates } from "../../../contract/pool-api.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { updatePool } from "../../pool-workflow.ts";
import { describeIntent } from "../../render/intent.ts";

/** Gives a pool an order that has no arguments, and prints the new intent. @throws ClientError */
export async function giveOrder(context: Context, options: PoolOptions, name: "drain" | "resume" | "pause") {
  const pool = poolName(context, options);
  const intent = await updatePool(context, pool, name, (workflow) => workflow.executeUpdate(poolUpdates[name]));
  if (options.json) {
    context.output.printJson({ pool, ...intent });
  } else {
    context.output.print(`pool ${pool}: ${describeIntent(intent, Date.now())}`);
  }
}
