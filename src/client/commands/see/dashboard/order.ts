import { poolUpdates } from "../../../../contract/pool-api.ts";
import type { Context } from "../../../context.ts";
import { updatePool } from "../../../pool-workflow.ts";
import type { Order } from "../../../render/dashboard/screen-state.ts";
import { describeIntent } from "../../../render/intent.ts";

/** Gives an order that was agreed to. @returns what became of it. @throws ClientError */
export async function giveOrder(context: Context, pool: string, order: Order): Promise<string> {
  if (order.kind === "drainWorker" || order.kind === "terminateWorker") {
    const { kind, worker } = order;
    const reason = `${kind === "drainWorker" ? "drained" : "terminated"} by an operator at the dashboard`;
    const { outcome } = await updatePool(context, pool, kind, (workflow) =>
      workflow.executeUpdate(poolUpdates[kind], { args: [{ worker, reason }] }),
    );
    return kind === "terminateWorker" && outcome === "external"
      ? `worker ${worker}: external, so the pool only drains it; gpu-pool worker terminate ends it`
      : `worker ${worker}: ${outcome.replaceAll("_", " ")}`;
  }
  const { kind } = order;
  const intent = await updatePool(context, pool, kind, (workflow) => workflow.executeUpdate(poolUpdates[kind]));
  return `pool ${pool}: ${describeIntent(intent, Date.now())}`;
}
