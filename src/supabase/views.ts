import type { Database } from "./client.ts";
import { quoted, readAll } from "./requests.ts";
import { TABLES, type Views } from "./tables.ts";

type View = "orchestrator_status" | "worker_performance" | "task_queue_analysis" | "worker_costs";

/** Columns that together name one row. */
const KEY_OF: Readonly<Record<View, readonly string[]>> = {
  orchestrator_status: ["pool"],
  worker_performance: ["worker_id"],
  task_queue_analysis: ["pool", "task_type"],
  worker_costs: ["worker_id"],
};

/** The rows of a view about the fleet, the queue or the costs. @throws DatabaseError */
export async function readView<V extends View>(database: Database, view: V): Promise<Views[V]["Row"][]> {
  const key = KEY_OF[view];
  return await readAll<Views[V]["Row"]>(`read ${view}`, (count, last) => {
    const rows = database[TABLES].from<View, Views[View]>(view).select("*");
    const after = last === undefined ? rows : rows.or(pastRow(key, last));
    return key.reduce((ordered, column) => ordered.order(column), after).limit(count);
  });
}

/** The filter for rows after this one, by these columns in their order. */
function pastRow([column = "", ...rest]: readonly string[], row: Readonly<Record<string, unknown>>): string {
  const value = quoted(String(row[column]));
  const further = `${column}.gt.${value}`;
  return rest.length === 0 ? further : `${further},and(${column}.eq.${value},or(${pastRow(rest, row)}))`;
}
