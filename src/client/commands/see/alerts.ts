import { alertStore } from "../../../supabase/alert-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import { missingPool } from "../../missing-pool.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { describeAlert } from "../../render/alerts.ts";

export async function showAlerts(context: Context, options: PoolOptions & { all?: boolean }): Promise<void> {
  const { output, connections } = context;
  const pool = poolName(context, options);
  const database = await connections.database();
  const found = await alertStore(database).list({ pool, closed: options.all });
  if (found.length === 0 && (await poolStore(database).find(pool)) === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  if (options.json) {
    output.printJson(found);
  } else if (found.length === 0) {
    output.note(options.all ? `pool ${pool} never had an alert` : `no alert is open for pool ${pool}`);
  } else {
    const [first = [], ...others] = found.map((alert) => describeAlert(alert, Date.now(), output.style));
    output.print([...first, ...others.flatMap((lines) => ["", ...lines])]);
  }
}
