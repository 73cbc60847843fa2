import { z } from "zod";
import type { Message, WorkerOrder, WorkerOrderOutcome } from "../contract/messages.ts";
import type { Intent, Mode } from "../contract/intent.ts";
import type { BreakerState, SpendCaps } from "../contract/plan.ts";
import type { Observation, ObservedBreaker, ObservedSpend, ObservedWorker } from "../policy/observation.ts";
import { type Database, DatabaseError } from "./client.ts";
import { answerOf } from "./requests.ts";

const intent = z
  .object({
    mode: z.enum(["normal", "draining", "paused", "closing"]),
    hold: z.number().nullable(),
    hold_until_ms: z.number().nullable(),
    version: z.number(),
  })
  .transform((row): Intent => ({
    mode: row.mode,
    hold: row.hold,
    holdUntilMs: row.hold_until_ms,
    version: row.version,
  }));

const observedWorker = z
  .object({
    id: z.string(),
    status: z.enum(["spawning", "active", "terminating", "terminated", "error"]),
    origin: z.enum(["pool", "external"]),
    pod_id: z.string().nullable(),
    created_ms: z.number(),
    ready_ms: z.number().nullable(),
    heartbeat_ms: z.number().nullable(),
    vram_ms: z.number().nullable(),
    released_ms: z.number().nullable(),
    cost_per_hour_usd: z.number().nullable(),
    drains_without_deadline: z.boolean(),
    signal: z.string().nullable(),
    signal_ms: z.number().nullable(),
    task: z
      .object({
        id: z.string(),
        started_ms: z.number(),
        progress_ms: z.number().nullable(),
        stuck_timeout_sec: z.number().nullable(),
      })
      .nullable(),
  })
  .transform((row): Omit<ObservedWorker, "pod"> => ({
    id: row.id,
    status: row.status,
    origin: row.origin,
    podId: row.pod_id,
    createdMs: row.created_ms,
    readyMs: row.ready_ms,
    heartbeatMs: row.heartbeat_ms,
    vramMs: row.vram_ms,
    releasedMs: row.released_ms,
    costPerHourUsd: row.cost_per_hour_usd,
    drainsWithoutDeadline: row.drains_without_deadline,
    signal: row.signal,
    signalMs: row.signal_ms,
    task: row.task && {
      id: row.task.id,
      startedMs: row.task.started_ms,
      progressMs: row.task.progress_ms,
      stuckTimeoutSec: row.task.stuck_timeout_sec,
    },
  }));

const breaker = z
  .object({
    state: z.enum(["closed", "open", "half_open"]),
    since_ms: z.number(),
    failed: z.number(),
    ready: z.number(),
  })
  .transform((row): ObservedBreaker => ({
    state: row.state,
    sinceMs: row.since_ms,
    failed: row.failed,
    ready: row.ready,
  }));

const spend = z
  .object({
    hourly_usd: z.number(),
    today_usd: z.number(),
    price_usd: z.number().nullable(),
    unpriced: z.number(),
  })
  .transform((row): ObservedSpend => ({
    hourlyUsd: row.hourly_usd,
    todayUsd: row.today_usd,
    priceUsd: row.price_usd,
    unpriced: row.unpriced,
  }));

const reading = z
  .object({
    now_ms: z.number(),
    observing_since_ms: z.number().nullable(),
    mass_silence_since_ms: z.number().nullable(),
    intent,
    config: z.record(z.string(), z.unknown()),
    environment: z.record(z.string(), z.unknown()),
    watch_id: z.string().nullable(),
    queued: z.number(),
    breaker,
    spend: spend.nullable(),
    launched_last_minute: z.number(),
    failed_recently: z.number(),
    fleet_hash: z.string(),
    fleet: z.array(observedWorker).nullable(),
  })
  .transform((row): Reading => ({
    nowMs: row.now_ms,
    observingSinceMs: row.observing_since_ms ?? row.now_ms,
    massSilenceSinceMs: row.mass_silence_since_ms,
    intent: row.intent,
    config: row.config,
    environment: row.environment,
    watchId: row.watch_id,
    queued: row.queued,
    breaker: row.breaker,
    spend: row.spend,
    launchedLastMinute: row.launched_last_minute,
    failedRecently: row.failed_recently,
    fleetHash: row.fleet_hash,
    fleet: row.fleet,
  }));

export type ReadWorker = Omit<ObservedWorker, "pod">;

const storedSettings = z
  .object({ config: z.record(z.string(), z.unknown()), environment: z.record(z.string(), z.unknown()) })
  .transform(({ config, environment }): StoredSettings => ({ own: config, environment }));

/** An observation as it is read: the provider is not asked. */
export interface Reading extends Omit<Observation, "fleet"> {
  /** The pool's own settings. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Settings of the newest Temporal worker process, as it told them in beginWatch. */
  readonly environment: Readonly<Record<string, unknown>>;
  readonly watchId: string | null;
  readonly fleetHash: string;
  /** Null where it equals the known one. */
  readonly fleet: readonly ReadWorker[] | null;
}

export interface StoredSettings {
  /** The pool's own. */
  readonly own: Readonly<Record<string, unknown>>;
  /** Of the newest Temporal worker process. */
  readonly environment: Readonly<Record<string, unknown>>;
}

export interface ObserveRequest {
  readonly knownFleetHash: string | null;
  /** Also renews the record of unbroken observation, and always brings the fleet and the spend. */
  readonly full: boolean;
  readonly pollSec: number;
  /** The breaker's counts go back this far, and never beyond its last change. */
  readonly failureWindowMin: number;
  /** Where there were fewer boots, it is the last so many of a day that are counted. */
  readonly minBoots: number;
  /** Brings the account's spend; without it, and without `full`, the spend is null. */
  readonly spend: boolean;
}

export interface PoolStore {
  open(pool: string, config: Readonly<Record<string, unknown>>): Promise<{ living: string[] }>;
  observe(pool: string, request: ObserveRequest): Promise<Reading>;
  /**
   * From now on only this watch may record decisions.
   * @param environment settings of this process; they rule unless a process that started later has told its own.
   */
  beginWatch(
    pool: string,
    watchId: string,
    environment: Readonly<Record<string, unknown>>,
    startedAtMs: number,
  ): Promise<void>;
  /** @param lasts false: it is over, and ages count from now on. */
  markMassSilence(pool: string, lasts: boolean): Promise<void>;
  settings(pool: string): Promise<StoredSettings>;
  setIntent(pool: string, message: Message): Promise<Intent>;
  /** Lays settings over the pool's own; null takes one away. @returns the pool's own settings as they now are. */
  reconfigure(pool: string, patch: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
  orderWorker(pool: string, order: WorkerOrder): Promise<WorkerOrderOutcome>;
  recordDecision(pool: string, decision: RecordedDecision): Promise<void>;
  journal(pool: string, kind: string, reason: string, details?: Readonly<Record<string, unknown>>): Promise<void>;
  reserve(pool: string, request: ReserveRequest): Promise<{ outcome: string; workers: string[]; nowMs: number }>;
  /** Ends the leases of external workers that fell silent or are stuck. */
  expireExternal(pool: string, silentSec: number, stuckSec: number): Promise<void>;
}

export interface RecordedDecision {
  readonly id: string;
  /** Refused when another watch has begun since. */
  readonly watchId: string;
  readonly reason: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly signals: readonly { readonly worker: string; readonly signal: string }[];
  /** A change of the breaker's state; one that does not follow from the state in the row is left out. */
  readonly breaker?: { readonly state: BreakerState; readonly reason: string };
}

export interface ReserveRequest {
  readonly decisionId: string;
  readonly count: number;
  readonly max: number;
  readonly intentVersion: number;
  readonly instanceType: string;
  /** Checked over all pools, one request at a time. */
  readonly caps: SpendCaps;
}

/** The pool's side of the database: what is observed, wanted, booked and journaled. */
export function poolStore(database: Database): PoolStore {
  return {
    open: (pool, config) =>
      database.call("pool_open", { p_pool: pool, p_config: config }, z.object({ living: z.array(z.string()) })),
    observe: (pool, request) =>
      database.call(
        "pool_observe",
        {
          p_pool: pool,
          p_known_fleet: request.knownFleetHash,
          p_full: request.full,
          p_poll_sec: request.pollSec,
          p_failure_window_min: request.failureWindowMin,
          p_spend: request.spend,
          p_min_boots: request.minBoots,
        },
        reading,
      ),
    async beginWatch(pool, watchId, environment, startedAtMs) {
      const args = { p_pool: pool, p_watch_id: watchId, p_environment: environment };
      const startedAt = new Date(startedAtMs).toISOString();
      await database.call("pool_begin_watch", { ...args, p_started_at: startedAt }, z.null());
    },
    async markMassSilence(pool, lasts) {
      await database.call("pool_mark_mass_silence", { p_pool: pool, p_lasts: lasts }, z.null());
    },
    async settings(pool) {
      const row = database.client.from("pools").select("config, environment").eq("name", pool).maybeSingle();
      const found = await answerOf("settings", row);
      if (found === null) {
        throw new DatabaseError("settings", 404, "", `pool ${pool} does not exist`, "Start it: gpu-pool pool start.");
      }
      return storedSettings.parse(found);
    },
    setIntent: (pool, message) =>
      database.call("pool_set_intent", { p_pool: pool, ...intentArguments(message) }, intent),
    reconfigure: (pool, patch) =>
      database.call("pool_reconfigure", { p_pool: pool, p_patch: patch }, z.record(z.string(), z.unknown())),
    orderWorker: (pool, { kind, worker, reason }) =>
      database.call(
        "order_worker",
        { p_pool: pool, p_worker_id: worker, p_kind: kind, p_reason: reason },
        z.object({
          outcome: z.enum(["ordered", "external", "already_leaving", "not_living", "unknown"]),
          status: z.string().nullable(),
        }),
      ),
    async recordDecision(pool, decision) {
      await database.call(
        "pool_record_decision",
        {
          p_pool: pool,
          p_decision_id: decision.id,
          p_kind: "decision",
          p_reason: decision.reason,
          p_details: decision.details,
          p_signals: decision.signals,
          p_watch_id: decision.watchId,
          p_breaker: decision.breaker?.state ?? null,
          p_breaker_reason: decision.breaker?.reason ?? null,
        },
        z.null(),
      );
    },
    async journal(pool, kind, reason, details = {}) {
      await database.call("journal", { p_pool: pool, p_kind: kind, p_reason: reason, p_details: details }, z.null());
    },
    reserve: (pool, request) =>
      database.call(
        "reserve_workers",
        {
          p_pool: pool,
          p_decision_id: request.decisionId,
          p_count: request.count,
          p_max: request.max,
          p_intent_version: request.intentVersion,
          p_instance_type: request.instanceType,
          p_max_hourly_usd: request.caps.maxHourlySpendUsd,
          p_daily_usd: request.caps.dailyBudgetUsd,
        },
        z
          .object({ outcome: z.string(), workers: z.array(z.string()), now_ms: z.number() })
          .transform(({ outcome, workers, now_ms: nowMs }) => ({ outcome, workers, nowMs })),
      ),
    async expireExternal(pool, silentSec, stuckSec) {
      const args = { p_pool: pool, p_silent_sec: silentSec, p_stuck_sec: stuckSec };
      await database.call("expire_external_workers", args, z.object({ closed: z.number(), removed: z.number() }));
    },
  };
}

const MODE_OF: Readonly<Record<Exclude<Message["kind"], "scale">, Mode>> = {
  drain: "draining",
  pause: "paused",
  resume: "normal",
  shutdown: "closing",
};

function intentArguments(message: Message): Record<string, unknown> {
  if (message.kind !== "scale") {
    return { p_kind: message.kind, p_mode: MODE_OF[message.kind] };
  }
  return message.target === null
    ? { p_kind: "scale", p_release_hold: true }
    : { p_kind: "scale", p_hold: message.target, p_hold_sec: message.forSec };
}
