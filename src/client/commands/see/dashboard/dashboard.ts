import type { Dashboard } from "../../../../contract/dashboard.ts";
import { minuteStore } from "../../../../supabase/history/minute-store.ts";
import type { Context } from "../../../context.ts";
import { missingPool } from "../../../missing-pool.ts";
import type { PoolOptions } from "../../../options.ts";
import { poolName } from "../../../pool-name.ts";
import { renderOnce } from "../../../render/dashboard/once.ts";

const SHOWN_ONCE = 20;
const SHOWN_LIVE = 200;
const EXPORTED = 500;

export interface DashboardOptions extends PoolOptions {
  readonly once?: boolean;
  readonly export?: boolean;
  readonly filter?: string;
}

/** Shows a pool on one screen: live on a terminal, else once as text, or as JSON. @throws ClientError when there is no such pool */
export async function showDashboard(context: Context, options: DashboardOptions): Promise<void> {
  const { output, connections } = context;
  const pool = poolName(context, options);
  const read = async (filter: string, limit: number): Promise<Dashboard> => {
    const found = await minuteStore(await connections.database()).dashboard(pool, filter, limit);
    if (found === null) {
      throw await missingPool(context, pool, `there is no pool ${pool}`);
    }
    return found;
  };
  const filter = options.filter ?? "";
  if (options.export === true || options.json === true) {
    output.printJson(await read(filter, EXPORTED));
  } else if (options.once === true || !canBeLive(context)) {
    output.print(renderOnce(await read(filter, SHOWN_ONCE), output.size().columns));
  } else {
    const first = await read(filter, SHOWN_LIVE);
    const { showLive } = await import("./live.ts");
    await showLive(context, { pool, filter, first, read: (of) => read(of, SHOWN_LIVE) });
  }
}

/** A screen needs a terminal with a size, keys, and somebody who wants more than plain text. */
function canBeLive({ output, env, stdin }: Context): boolean {
  const isPlain = Boolean(env["NO_COLOR"]) || env["TERM"] === "dumb" || env["CI"] !== undefined;
  return output.hasScreen && stdin.isTTY === true && !isPlain;
}
