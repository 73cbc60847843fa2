import { z } from "zod";
import type { PodJobOrder, PodJobReservation } from "../../contract/pod-job.ts";
import type { PoolSettings } from "../../contract/pool-settings.ts";
import { camelized } from "../camelized.ts";
import type { Database } from "../client.ts";
import { answerOf, readAll } from "../requests.ts";
import { type Row, TABLES } from "../tables.ts";

/** A job with the columns of its pod's row that say how it is. */
export type JobRecord = Row<"pod_jobs"> & {
  readonly workers: Pick<
    Row<"workers">,
    "id" | "pool" | "status" | "status_reason" | "boot_stage" | "pod_id" | "cost_per_hr_usd" | "cost_usd" | "gone_at"
  >;
};

export interface JobStore {
  reserve(pool: string, id: string, order: PodJobOrder, budget: Budget): Promise<PodJobReservation>;
  /** Null: there is no such job. */
  find(id: string): Promise<JobRecord | null>;
  /** Jobs whose pods are not seen gone, of one pool or of all. */
  living(pool?: string): Promise<JobRecord[]>;
  preparedVolumes(): Promise<Row<"prepared_volumes">[]>;
  /** Elects the one that may ask the provider for a new volume of this name. */
  requestVolume(name: string): Promise<VolumeRequest>;
  /** @param volumeId what the request made; null: certainly nothing. */
  volumeAnswered(name: string, volumeId: string | null): Promise<void>;
}

const volumeRequest = camelized(
  z.object({ elected: z.boolean(), volume_id: z.string().nullable(), asked_sec_ago: z.number() }),
);
/** Not elected: another request was sent before, and `volumeId` is what it made; null: not known. */
export type VolumeRequest = z.infer<typeof volumeRequest>;

/** For this long lists may lack a volume whose request had no answer. */
export const VOLUME_SETTLE_SEC = 600;

type Budget = Pick<PoolSettings, "maxHourlySpendUsd" | "dailyBudgetUsd" | "noFundsProbeMinutes">;

const OUTCOMES = ["reserved", "already_reserved", "over_budget", "no_funds", "volume_busy"] as const;
const COLUMNS =
  "*, workers!inner(id, pool, status, status_reason, boot_stage, pod_id, cost_per_hr_usd, cost_usd, gone_at)";

/** Pods that were rented for one job, and the volumes that they prepared. Every call throws DatabaseError. */
export function jobStore(database: Database): JobStore {
  const client = database[TABLES];
  return {
    reserve: (pool, id, { purpose, settings, variables, timeoutSec, gpuType, priceUsdPerHour }, budget) =>
      database.call(
        "reserve_pod_job",
        {
          p_worker_id: id,
          p_pool: pool,
          p_purpose: purpose,
          p_details: { settings, variables },
          p_timeout_sec: timeoutSec,
          p_instance_type: gpuType,
          p_price_usd: priceUsdPerHour,
          p_max_hourly_usd: budget.maxHourlySpendUsd ?? null,
          p_daily_usd: budget.dailyBudgetUsd ?? null,
          p_no_funds_probe_min: budget.noFundsProbeMinutes,
        },
        z.object({ outcome: z.enum(OUTCOMES), reason: z.string().nullable() }),
      ),
    async find(id) {
      const rows = await answerOf("read job", client.from("pod_jobs").select(COLUMNS).eq("worker_id", id));
      return (rows as JobRecord[])[0] ?? null;
    },
    async living(pool) {
      return await readAll<JobRecord & { id: string }>("read jobs", (count, last) => {
        const all = client.from("pod_jobs").select(COLUMNS).is("workers.gone_at", null);
        const rows = pool === undefined ? all : all.eq("workers.pool", pool);
        const after = last === undefined ? rows : rows.gt("worker_id", last.worker_id);
        return after.order("worker_id").limit(count) as never;
      });
    },
    preparedVolumes: () =>
      readAll<Row<"prepared_volumes">>("read prepared volumes", (count, last) => {
        const rows = client.from("prepared_volumes").select("*");
        const after = last === undefined ? rows : rows.gt("volume_id", last.volume_id);
        return after.order("volume_id").limit(count);
      }),
    requestVolume: (name) =>
      database.call("volume_request", { p_name: name, p_settle_sec: VOLUME_SETTLE_SEC }, volumeRequest),
    async volumeAnswered(name, volumeId) {
      await database.call("volume_answered", { p_name: name, p_volume_id: volumeId }, z.unknown());
    },
  };
}

/** The network volume that a job's pod mounts; null: none, or the details are another version's. */
export function volumeOfJob(details: unknown): string | null {
  const read = z.object({ settings: z.object({ networkVolumeId: z.string() }) }).safeParse(details);
  return read.success ? read.data.settings.networkVolumeId : null;
}
