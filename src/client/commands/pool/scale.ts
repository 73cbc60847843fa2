import { poolQueries, poolUpdates, type ScaleRequest } from "../../../contract/pool-api.ts";
import { settingsAt } from "../../../policy/schedule.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { askPool, updatePool } from "../../pool-workflow.ts";
import { describeIntent } from "../../render/intent.ts";

/** Prints the hold that stands from now on, and the bound that caps it. */
export async function scalePool(context: Context, options: PoolOptions, request: ScaleRequest): Promise<void> {
  const pool = poolName(context, options);
  const intent = await updatePool(context, pool, poolUpdates.scale.name, (workflow) =>
    workflow.executeUpdate(poolUpdates.scale, { args: [request] }),
  );
  const max = await maxInForce(context, pool);
  const cappedAt = max !== null && intent.hold !== null && intent.hold > max ? max : null;
  if (options.json) {
    context.output.printJson({ pool, ...intent, cappedAt });
  } else {
    const capped = cappedAt === null ? "" : `; capped by MAX at ${cappedAt}`;
    context.output.print(`pool ${pool}: ${describeIntent(intent, Date.now())}${capped}`);
  }
}

/** MAX as it is now; null: the pool's controller does not know its settings yet. */
async function maxInForce(context: Context, pool: string): Promise<number | null> {
  const asked = await askPool(context.connections, pool, poolQueries.config);
  const values = asked.state === "answers" ? asked.answer.settings?.values : undefined;
  return values === undefined ? null : settingsAt(values, Date.now()).settings.maxActiveGpus;
}
