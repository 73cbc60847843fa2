import { z } from "zod";
import { camelized } from "../camelized.ts";
import type { Database } from "../client.ts";
import { readOne, shaped } from "../requests.ts";
import { TABLES } from "../tables.ts";

export type CostsBy = "day" | "pool" | "worker" | "gpu" | "project" | "type" | "task";

const usd = z.number().nullable();
const figures = {
  billed_sec: z.number(),
  /** For which a worker held a task. */
  busy_sec: z.number(),
  workers: z.number(),
  /** How many of them have no known price, so that their cost is not in the sums. */
  unpriced: z.number(),
  /** Tasks that were submitted and are complete; a sub-task is none. */
  finished: z.number(),
  /** How many of these say how long their video is. */
  videos: z.number(),
  video_sec: z.number(),
};

const report = camelized(
  z.object({
    from: z.string(),
    to: z.string(),
    total: z.object({
      ...figures,
      usd: z.number(),
      /** What workers cost while they held no task, boots included. */
      idle_usd: z.number(),
      boot_usd: z.number(),
      /** What workers cost that held no task at all in this time. */
      without_task_usd: z.number(),
    }),
    rows: z.array(
      z.object({
        ...figures,
        of: z.string(),
        /** A worker's GPU and status, or a task's type. */
        about: z.string().nullable(),
        /** Null: no price of its workers is known. */
        usd,
        idle_usd: usd,
      }),
    ),
    left_out: z.number(),
  }),
);
export type CostReport = z.infer<typeof report>;

export interface CostRequest {
  readonly by: CostsBy;
  /** ISO 8601. */
  readonly from: string;
  /** ISO 8601; null: now. */
  readonly to: string | null;
  readonly pool?: string;
  readonly limit: number;
}

/** What pods have cost, in USD, the dearest rows first, or the newest days. @throws DatabaseError */
export async function readCosts(database: Database, { by, from, to, pool, limit }: CostRequest): Promise<CostReport> {
  const args = { p_by: by, p_from: from, p_to: to, p_pool: pool ?? null, p_limit: limit };
  return shaped("read costs", report, await readOne("read costs", () => database[TABLES].rpc("cost_report", args)));
}
