import { z } from "zod";
import { type Dashboard, WORKER_PHASES } from "../../contract/dashboard.ts";
import { MODES } from "../../contract/intent.ts";
import { camelized } from "../camelized.ts";
import type { Database } from "../client.ts";

const counts = {
  open: z.number(),
  held: z.number(),
  blocked: z.number(),
  delayed: z.number(),
  running: z.number(),
  oldest_wait_sec: z.number().nullable(),
};
const phases = {
  failing: z.number(),
  spawning: z.number(),
  busy: z.number(),
  idle: z.number(),
  terminating: z.number(),
};

const dashboard: z.ZodType<Dashboard> = camelized(
  z.object({
    pool: z.string(),
    at: z.string(),
    observed_at: z.string().nullable(),
    mode: z.enum(MODES),
    hold: z.number().nullable(),
    hold_until: z.string().nullable(),
    breaker: z.enum(["closed", "open", "half_open"]),
    desired: z.number().nullable(),
    min: z.number().nullable(),
    max: z.number().nullable(),
    queue: z.object(counts),
    workers: z.object(phases),
    usd_per_hour: z.number(),
    account: z.object({
      usd_per_hour: z.number(),
      usd_today: z.number(),
      unpriced: z.number(),
      max_usd_per_hour: z.number().nullable(),
      max_usd_today: z.number().nullable(),
    }),
    minutes: z.array(
      z.object({
        at: z.string(),
        ...counts,
        ...phases,
        desired: z.number().nullable(),
        completed: z.number(),
        failed: z.number(),
        usd_per_hour: z.number(),
      }),
    ),
    decisions: z.array(z.object({ at: z.string(), reason: z.string() })),
    alerts: z.array(
      z.object({
        kind: z.string(),
        subject: z.string(),
        pool: z.string().nullable(),
        message: z.string(),
        opened_at: z.string(),
        what_to_do: z.string(),
      }),
    ),
    fleet_count: z.number(),
    fleet: z.array(
      z.object({
        id: z.string(),
        phase: z.enum(WORKER_PHASES),
        origin: z.enum(["pool", "external"]),
        boot_stage: z.string(),
        boot_stage_at: z.string(),
        created_at: z.string(),
        heartbeat_at: z.string().nullable(),
        gpu: z.string().nullable(),
        usd_per_hour: z.number().nullable(),
        task: z
          .object({
            id: z.string(),
            type: z.string(),
            progress: z.number().nullable(),
            started_at: z.string(),
          })
          .nullable(),
      }),
    ),
  }),
);

export interface MinuteStore {
  /** Records the minute that ended last, unless it is recorded. @returns whether it was recorded now */
  record(pool: string): Promise<boolean>;
  /**
   * The pool now, with its last hour. Null: the pool was never started.
   * @param filter only workers whose id, phase, GPU or task type contains it
   * @param limit how many workers, at most 500
   */
  dashboard(pool: string, filter: string, limit: number): Promise<Dashboard | null>;
}

/** The table pool_minutes, and what a dashboard shows. Every call throws DatabaseError. */
export function minuteStore(database: Database): MinuteStore {
  return {
    record: (pool) => database.call("record_minute", { p_pool: pool }, z.boolean()),
    dashboard: (pool, filter, limit) =>
      database.call("pool_dashboard", { p_pool: pool, p_filter: filter, p_limit: limit }, dashboard.nullable()),
  };
}
