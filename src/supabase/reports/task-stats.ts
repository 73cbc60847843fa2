import { z } from "zod";
import { camelized } from "../camelized.ts";
import type { Database } from "../client.ts";
import { readOne, shaped } from "../requests.ts";
import { TABLES } from "../tables.ts";

/** p50 and p95 in seconds; null: no task has any. */
const percentiles = z.array(z.number()).length(2).nullable();
const counts = {
  tasks: z.number(),
  queued: z.number(),
  running: z.number(),
  complete: z.number(),
  failed: z.number(),
  cancelled: z.number(),
  /** Claimed more than once. */
  tried_again: z.number(),
  /** From when it could be claimed to its last claim. */
  waited_sec: percentiles,
  /** From its last claim to its end. */
  ran_sec: percentiles,
};

const stats = camelized(
  z.object({
    total: z.object(counts),
    kinds: z.array(z.object({ ...counts, task_type: z.string(), model: z.string().nullable() })),
    kinds_left_out: z.number(),
    causes: z.array(
      z.object({
        /** The error without ids, paths and numbers. */
        likeness: z.string(),
        /** Tasks that failed so. */
        failed: z.number(),
        /** Attempts that ended so. */
        attempts: z.number(),
        types: z.number(),
        /** One of them. */
        task_type: z.string(),
        last_at: z.string(),
        example_id: z.string(),
        example: z.string(),
      }),
    ),
    causes_left_out: z.number(),
  }),
);
export type TaskStats = z.infer<typeof stats>;

export interface TaskStatsRequest {
  /** ISO 8601: of the tasks that were created since. */
  readonly since: string;
  readonly pool?: string;
  readonly projectId?: string;
  readonly type?: string;
  /** At most so many kinds, and so many causes. */
  readonly limit: number;
}

/** How long tasks waited and ran, and why they failed. @throws DatabaseError */
export async function readTaskStats(database: Database, request: TaskStatsRequest): Promise<TaskStats> {
  const { since, pool, projectId, type, limit } = request;
  const args = {
    p_since: since,
    p_pool: pool ?? null,
    p_project: projectId ?? null,
    p_type: type ?? null,
    p_limit: limit,
  };
  const answer = await readOne("read statistics", () => database[TABLES].rpc("task_stats", args));
  return shaped("read statistics", stats, answer);
}
