import { z } from "zod";
import { camelized } from "../camelized.ts";
import type { Database } from "../client.ts";
import { readOne } from "../requests.ts";
import { TABLES } from "../tables.ts";

/** How many of the last boots are read. */
const BOOTS = 20;

/** A task that a worker of the pool completed, delegated or failed. */
export interface ServedTask {
  /** Since when it could be claimed, ms since epoch. */
  readonly atMs: number;
  /** From its claim to its end. */
  readonly seconds: number;
  readonly type: string;
}

export interface LatestBoot {
  /** From the worker's booking to its first heartbeat. */
  readonly seconds: number;
  /** USD an hour; null: not known. */
  readonly costPerHourUsd: number | null;
}

export interface HistoryStore {
  /** When the pool was first started, ms since epoch; null: it was not. */
  beganMs(pool: string): Promise<number | null>;
  /** Pages of the tasks whose attempts ended since then (ISO 8601), worker by worker. */
  served(pool: string, since: string): AsyncGenerator<readonly ServedTask[]>;
  /** The last boots that succeeded, at most 20, the newest first. */
  boots(pool: string): Promise<LatestBoot[]>;
}

const historyPage = camelized(
  z.object({
    next_worker: z.string().nullable(),
    next_after: z.string().nullable(),
    tasks: z.array(z.object({ at_ms: z.number(), seconds: z.number(), type: z.string() })),
  }),
);

interface BootRow {
  readonly created_at: string;
  readonly ready_at: string | null;
  readonly cost_per_hr_usd: number | null;
}

/** What a pool has done so far. It only reads. Every call throws DatabaseError. */
export function historyStore(database: Database): HistoryStore {
  return {
    async beganMs(pool) {
      const row = await readOne<{ created_at: string } | null>("read pool", () =>
        database[TABLES].from("pools").select("created_at").eq("name", pool).maybeSingle(),
      );
      return row === null ? null : Date.parse(row.created_at);
    },
    async *served(pool, since) {
      let place: Readonly<Record<string, string | null>> | null = {};
      while (place !== null) {
        const args = { p_pool: pool, p_from: since, ...place };
        const page: z.infer<typeof historyPage> = await database.call("pool_history", args, historyPage);
        yield page.tasks;
        place = page.nextWorker === null ? null : { p_worker: page.nextWorker, p_after: page.nextAfter };
      }
    },
    async boots(pool) {
      const rows = await readOne<BootRow[]>("read boots", () =>
        database[TABLES]
          .from("workers")
          .select("created_at, ready_at, cost_per_hr_usd")
          .eq("pool", pool)
          .eq("origin", "pool")
          .not("ready_at", "is", null)
          .order("ready_at", { ascending: false })
          .limit(BOOTS)
          .overrideTypes<BootRow[], { merge: false }>(),
      );
      return rows.map(({ created_at: created, ready_at: ready, cost_per_hr_usd: usd }) => ({
        seconds: (Date.parse(ready ?? created) - Date.parse(created)) / 1000,
        costPerHourUsd: usd,
      }));
    },
  };
}
