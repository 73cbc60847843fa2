import { z } from "zod";
import type { Condition } from "../contract/alerts.ts";
import { WORKER_STATUSES } from "../contract/inputs.ts";
import { type Intent, MODES } from "../contract/intent.ts";
import type { PoolSettings } from "../contract/pool-settings.ts";
import type { FailedRun, Observation, ObservedWorker, UndoneType } from "../policy/observation.ts";
import { camelized } from "./camelized.ts";
import type { Figures, MeasureRequest } from "./measured/figures.ts";

export const intent: z.ZodType<Intent> = camelized(
  z.object({
    mode: z.enum(MODES),
    hold: z.number().nullable(),
    hold_until_ms: z.number().nullable(),
    version: z.number(),
  }),
);

const worker = z.object({
  id: z.string(),
  status: z.enum(WORKER_STATUSES),
  origin: z.enum(["pool", "external"]),
  pod_id: z.string().nullable(),
  boot_stage: z.string(),
  boot_stage_ms: z.number(),
  created_ms: z.number(),
  ready_ms: z.number().nullable(),
  heartbeat_ms: z.number().nullable(),
  vram_ms: z.number().nullable(),
  released_ms: z.number().nullable(),
  cost_per_hour_usd: z.number().nullable(),
  drains_without_deadline: z.boolean(),
  signal: z.string().nullable(),
  signal_ms: z.number().nullable(),
  broken_reason: z.string().nullable(),
  task: z
    .object({
      id: z.string(),
      started_ms: z.number(),
      progress_ms: z.number().nullable(),
      progress: z.number().nullable(),
      stuck_timeout_sec: z.number().nullable(),
      task_type: z.string().nullable(),
      model: z.string().nullable(),
    })
    .nullable(),
});

export const undoneTypes: z.ZodType<UndoneType[]> = z.array(
  camelized(z.object({ task_type: z.string(), tasks: z.number() })),
);

/** The answer of the database function pool_observe. */
export const poolObservation = camelized(
  z.object({
    now_ms: z.number(),
    observing_since_ms: z.number().nullable(),
    mass_silence_since_ms: z.number().nullable(),
    intent,
    config: z.record(z.string(), z.unknown()),
    environment: z.record(z.string(), z.unknown()),
    watch_id: z.string().nullable(),
    queued: z.number(),
    breaker: z.object({
      state: z.enum(["closed", "open", "half_open"]),
      since_ms: z.number(),
      failed: z.number(),
      ready: z.number(),
    }),
    spend: z
      .object({
        hourly_usd: z.number(),
        today_usd: z.number(),
        price_usd: z.number().nullable(),
        unpriced: z.number(),
      })
      .nullable(),
    no_funds: z.object({ since_ms: z.number(), tried_ms: z.number() }).nullable(),
    no_place: z.object({ since_ms: z.number(), reason: z.string() }).nullable(),
    waiting_since_ms: z.number().nullable(),
    task_types: z.array(z.string()).nullable(),
    undone: undoneTypes.nullable(),
    unfit: z.array(z.string()),
    alerts: z.array(z.object({ kind: z.string(), subject: z.string(), message: z.string() })).nullable(),
    launched_last_minute: z.number(),
    failed_recently: z.number(),
    failed_runs: z
      .record(
        z.string(),
        camelized(z.object({ tasks: z.number(), since_ms: z.number(), others_completed_ms: z.number().nullable() })),
      )
      .nullable(),
    fleet_hash: z.string(),
    fleet: z.array(worker).nullable(),
  }),
).transform((row) => ({ ...row, observingSinceMs: row.observingSinceMs ?? row.nowMs }));

/** A reading with boot stages and progress, which only people look at. */
export interface DetailedReading extends z.infer<typeof poolObservation> {
  /** Null: not asked for, not known yet, or the same as those that the request knew. */
  readonly measured: Figures | null;
}

export type ReadWorker = Omit<ObservedWorker, "pod" | "failedRun">;

export type ReadWorkerInBoot = ReadWorker & { readonly bootStage: string; readonly bootStageMs: number };

/** An observation as it is read: the provider is not asked. */
export interface Reading extends Omit<Observation, "fleet" | "measured"> {
  /** What the pool's next worker can do; null or left out: anything. */
  readonly taskTypes?: readonly string[] | null;
  /** The pool's own settings. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Settings of the newest Temporal worker process, as it gave them in beginWatch. */
  readonly environment: Readonly<Record<string, unknown>>;
  readonly watchId: string | null;
  /** The pool's open alerts; null: it was no full pass. */
  readonly alerts: readonly Condition[] | null;
  /** By worker; null: not looked for, because this was no full pass. */
  readonly failedRuns?: Readonly<Record<string, FailedRun>> | null;
  /** Null: not asked for, not known yet, or the same as those that the request knew. */
  readonly measured: Figures | null;
  readonly fleetHash: string;
  /** Null where it equals the known one. */
  readonly fleet: readonly ReadWorkerInBoot[] | null;
}

export type SickLimits = Pick<
  PoolSettings,
  "sickWorkerMinTasks" | "sickWorkerWindowMinutes" | "sickWorkerProofMinutes"
>;

export interface ObserveRequest {
  readonly knownFleetHash: string | null;
  /** Also renews the record of unbroken observation, and always brings the fleet and the spend. */
  readonly full: boolean;
  readonly pollSec: number;
  /** What a worker of the pool's profile is known to do, null: anything; left out: what the watch said in its last full pass. */
  readonly taskTypes?: readonly string[] | null;
  /** The breaker's counts go back this far, and never beyond its last change. */
  readonly failureWindowMin: number;
  /** If the window has fewer boots, the newest boots of the last 24 hours are counted, up to this number. */
  readonly minBoots: number;
  /** Also brings the runs of failures; `full` always does. */
  readonly failures?: boolean;
  /** From how many failed tasks in how many minutes on a worker's run of failures is given, and how old a proof may be; default: the settings' defaults. */
  readonly sick?: SickLimits;
  /** Brings the account's spend; without it, and without `full`, the spend is null. */
  readonly spend: boolean;
  /** Brings the measured figures and the kinds of the fleet's tasks; left out: neither. */
  readonly measure?: MeasureRequest | undefined;
}
