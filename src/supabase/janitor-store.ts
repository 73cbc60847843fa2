import { z } from "zod";
import { camelized } from "./camelized.ts";
import type { Database } from "./client.ts";
import { DatabaseError } from "./database-error.ts";
import { TABLES } from "./tables.ts";

const stock = camelized(
  z.object({
    now_ms: z.number(),
    ended_lately: z.number(),
    pools: z.array(
      z.object({ name: z.string(), should_run: z.boolean(), mode: z.string(), observed_ms: z.number().nullable() }),
    ),
    sightings: z.array(z.object({ subject: z.string(), first_ms: z.number() })),
    rows: z.array(
      z.object({
        id: z.string(),
        pool: z.string(),
        status: z.string(),
        origin: z.string(),
        pod_id: z.string().nullable(),
        post_state: z.string().nullable(),
        gone: z.boolean(),
      }),
    ),
  }),
);

/** The database's side of the janitor's comparison; times in ms since epoch, by the database's clock. */
export type DatabaseStock = z.infer<typeof stock>;

/** Tables whose old rows the janitor deletes. */
export type RetainedTable =
  | "pool_events"
  | "worker_diagnostics"
  | "alerts"
  | "pool_minutes"
  | "worker_processes"
  | "task_attempts"
  | "service_requests"
  | "workers";

export interface Orphan {
  readonly worker: string;
  readonly pool: string;
  readonly subject: string;
  /** Null: no list shows a pod. */
  readonly pod: {
    readonly id: string;
    readonly costPerHourUsd: number | null;
    readonly createdAt: string | null;
  } | null;
  readonly reason: string;
}

export interface JanitorStore {
  /** @param living also every row whose pod may live; else only the rows of these names */
  stock(names: readonly string[], living: boolean): Promise<DatabaseStock>;
  /** Remembers sightings, and forgets those that are over. */
  sight(seen: readonly string[], over: readonly string[]): Promise<void>;
  /**
   * Opens the worker's row again, or writes it anew, so that its workflow can bury the pod.
   * @param max how many may be ended within five minutes
   */
  bury(orphan: Orphan, max: number): Promise<"ordered" | "living" | "cap_reached">;
  /** Answers how many tasks each repair changed, or would change. */
  repairTasks(dryRun: boolean): Promise<Record<string, number>>;
  cleanUp(table: RetainedTable, days: number): Promise<{ deleted: number; more: boolean }>;
  /** Old files of deleted tasks among the next objects of the bucket. `last`: go on after it; null: there are no more. */
  orphanFiles(bucket: string, days: number, after: string): Promise<{ names: string[]; last: string | null }>;
  removeFiles(bucket: string, names: readonly string[]): Promise<void>;
}

/** The janitor's side of the database. Every call throws DatabaseError. */
export function janitorStore(database: Database): JanitorStore {
  return {
    stock: (names, living) => database.call("janitor_stock", { p_names: names, p_living: living }, stock),
    async sight(seen, over) {
      await database.call("janitor_sight", { p_seen: seen, p_over: over }, z.null());
    },
    bury: ({ worker, pool, subject, pod, reason }, max) =>
      database.call(
        "janitor_bury",
        {
          p_worker_id: worker,
          p_pool: pool,
          p_subject: subject,
          p_pod_id: pod?.id ?? null,
          p_cost_per_hr_usd: pod?.costPerHourUsd ?? null,
          p_created_at: pod?.createdAt ?? null,
          p_reason: reason,
          p_max: max,
        },
        z.enum(["ordered", "living", "cap_reached"]),
      ),
    async repairTasks(dryRun) {
      const repaired = await database.call(
        "repair_tasks",
        { p_dry_run: dryRun },
        z.record(z.string(), z.array(z.string())),
      );
      return Object.fromEntries(Object.entries(repaired).map(([repair, tasks]) => [repair, tasks.length]));
    },
    cleanUp: (table, days) =>
      database.call(
        "clean_up_table",
        { p_table: table, p_days: days },
        z.object({ deleted: z.number(), more: z.boolean() }),
      ),
    orphanFiles: (bucket, days, after) =>
      database.call(
        "orphan_files",
        { p_bucket: bucket, p_days: days, p_after: after },
        z.object({ names: z.array(z.string()), last: z.string().nullable() }),
      ),
    async removeFiles(bucket, names) {
      const { error } = await database[TABLES].storage.from(bucket).remove([...names]);
      if (error !== null) {
        throw new DatabaseError(
          "removeFiles",
          0,
          "",
          `${names.length} files of bucket ${bucket}: ${error.message}`,
          "",
        );
      }
    },
  };
}
