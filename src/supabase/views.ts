import type { Database } from "./client.ts";
import { readAll } from "./requests.ts";
import { TABLES, type Views } from "./tables.ts";

type View = "orchestrator_status" | "worker_performance" | "task_queue_analysis" | "worker_costs";

const ORDER_OF: Readonly<Record<View, readonly string[]>> = {
  orchestrator_status: ["pool"],
  worker_performance: ["worker_id"],
  task_queue_analysis: ["pool", "task_type"],
  worker_costs: ["worker_id"],
};

/** The rows of a view about the fleet, the queue or the costs. @throws DatabaseError */
export async function readView<V extends View>(database: Database, view: V): Promise<Views[V]["Row"][]> {
  return await readAll(`read ${view}`, (from, to) => {
    const rows = database[TABLES].from<View, Views[View]>(view).select("*");
    return ORDER_OF[view].reduce((ordered, column) => ordered.order(column), rows).range(from, to);
  });
}
