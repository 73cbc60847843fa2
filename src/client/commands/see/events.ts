import { createEventReader, type EventRow } from "../../../supabase/history/event-reader.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import { poolName } from "../../pool-name.ts";
import { renderEvent } from "../../render/events.ts";
import { followUntilStopped } from "../../show-logs.ts";
import { wholeTaskId } from "../../find-by-prefix.ts";
import { wholeWorkerId } from "./whole-ids.ts";

export interface EventsOptions {
  readonly pool?: string;
  readonly kind?: string;
  readonly worker?: string;
  readonly task?: string;
  readonly since?: number;
  readonly limit: number;
  readonly follow?: boolean;
  readonly json?: boolean;
}

/** Prints the journal of one pool. @throws ClientError */
export async function showEvents(context: Context, options: EventsOptions): Promise<void> {
  const { output, connections } = context;
  const { kind, worker, task, since, limit, follow, json } = options;
  const pool = poolName(context, options);
  const database = await connections.database();
  const reader = createEventReader(database, {
    pool,
    ...(kind !== undefined && { kind }),
    ...(worker !== undefined && { worker: await wholeWorkerId(context, worker) }),
    ...(task !== undefined && { task: await wholeTaskId(context, task) }),
    ...(since !== undefined && { since: new Date(Date.now() - since * 1000).toISOString() }),
  });
  const show = (rows: readonly EventRow[]) => {
    for (const row of rows) {
      if (json) {
        output.printJson(row);
      } else {
        output.print(renderEvent(row, output.style));
      }
    }
  };
  const rows = await reader.latest(limit);
  if (rows.length === 0 && (await poolStore(database).find(pool)) === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  show(rows);
  if (follow) {
    await followUntilStopped(context, reader, show);
  } else if (rows.length === 0) {
    output.note(`no event of pool ${pool} matches`);
  }
}
