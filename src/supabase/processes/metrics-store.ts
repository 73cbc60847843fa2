import { z } from "zod";
import { camelized } from "../camelized.ts";
import type { Database } from "../client.ts";

const count = z.number().int();
const usd = z.number();

const pool = z.object({
  pool: z.string(),
  mode: z.string(),
  should_run: z.boolean(),
  hold: count.nullable(),
  breaker: z.string(),
  desired: count.nullable(),
  min: count.nullable(),
  max: count.nullable(),
  observed_sec: z.number().nullable(),
  no_place: z.boolean(),
  oldest_sec: z.number().nullable(),
  /** Queued tasks by their gate. */
  queue: z.record(z.string(), count),
  workers: z.array(z.object({ origin: z.string(), phase: z.string(), workers: count })),
  usd_per_hour: usd,
});

const reading = camelized(
  z
    .object({
      pools: z.array(pool),
      /** Counters and buckets that only grow. */
      totals: z.array(z.object({ metric: z.string(), pool: z.string(), label: z.string(), value: z.number() })),
      /** Open alerts of each kind. */
      alerts: z.record(z.string(), count),
      /** Worker processes that live. */
      processes: count,
      spend: z.object({ hourly_usd: usd, today_usd: usd, unpriced: count }),
      no_funds: z.boolean(),
      /** The account's limits in USD, as the process that started last has them; null: no process has started a watch. */
      limits: z.object({ hourly_usd: usd.nullable(), daily_usd: usd.nullable() }).nullable(),
    })
    .nullable(),
);

export type MetricsReading = NonNullable<z.output<typeof reading>>;

export interface MetricsStore {
  /**
   * The state of all pools. Counts events up to 10 s ago into the totals.
   * @param process id that this process gives its signs of life with.
   * @returns null: another process shows the pools.
   * @throws DatabaseError
   */
  read(process: string): Promise<MetricsReading | null>;
}

export function metricsStore(database: Database): MetricsStore {
  return { read: (process) => database.call("metrics_read", { p_process: process }, reading) };
}
