import { z } from "zod";
import type { Intent, Message, Mode } from "../contract/messages.ts";
import type { ObservedWorker } from "../policy/observation.ts";
import type { Database } from "./client.ts";

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
    released_ms: z.number().nullable(),
    cost_per_hour_usd: z.number().nullable(),
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
    releasedMs: row.released_ms,
    costPerHourUsd: row.cost_per_hour_usd,
    signal: row.signal,
    signalMs: row.signal_ms,
    task: row.task && {
      id: row.task.id,
      startedMs: row.task.started_ms,
      progressMs: row.task.progress_ms,
      stuckTimeoutSec: row.task.stuck_timeout_sec,
    },
  }));

const reading = z
  .object({
    now_ms: z.number(),
    observing_since_ms: z.number().nullable(),
    intent,
    config: z.record(z.string(), z.unknown()),
    watch_id: z.string().nullable(),
    queued: z.number(),
    fleet_hash: z.string(),
    fleet: z.array(observedWorker).nullable(),
  })
  .transform((row) => ({
    nowMs: row.now_ms,
    observingSinceMs: row.observing_since_ms ?? row.now_ms,
    intent: row.intent,
    config: row.config,
    watchId: row.watch_id,
    queued: row.queued,
    fleetHash: row.fleet_hash,
    fleet: row.fleet,
  }));

/** An observation as it is read: the fleet is null where it equals the known one; the provider is not asked. */
export type Reading = z.output<typeof reading>;
export type ReadWorker = Omit<ObservedWorker, "pod">;

export interface PoolStore {
  open(pool: string, config: Readonly<Record<string, unknown>>): Promise<{ living: string[] }>;
  /** @param full also renews the record of unbroken observation, and always brings the fleet. */
  observe(pool: string, knownFleetHash: string | null, full: boolean, pollSec: number): Promise<Reading>;
  /** From now on only this watch may record decisions. */
  beginWatch(pool: string, watchId: string): Promise<void>;
  setIntent(pool: string, message: Message): Promise<Intent>;
  recordDecision(pool: string, decision: RecordedDecision): Promise<void>;
  journal(pool: string, kind: string, reason: string, details?: Readonly<Record<string, unknown>>): Promise<void>;
  reserve(pool: string, request: ReserveRequest): Promise<{ outcome: string; workers: string[] }>;
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
}

export interface ReserveRequest {
  readonly decisionId: string;
  readonly count: number;
  readonly max: number;
  readonly intentVersion: number;
  readonly instanceType: string;
}

/** The pool's side of the database: what is observed, wanted, booked and journaled. */
export function poolStore(database: Database): PoolStore {
  return {
    open: (pool, config) =>
      database.call("pool_open", { p_pool: pool, p_config: config }, z.object({ living: z.array(z.string()) })),
    observe: (pool, knownFleetHash, full, pollSec) =>
      database.call(
        "pool_observe",
        { p_pool: pool, p_known_fleet: knownFleetHash, p_full: full, p_poll_sec: pollSec },
        reading,
      ),
    async beginWatch(pool, watchId) {
      await database.call("pool_begin_watch", { p_pool: pool, p_watch_id: watchId }, z.null());
    },
    setIntent: (pool, message) =>
      database.call("pool_set_intent", { p_pool: pool, ...intentArguments(message) }, intent),
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
        },
        z.object({ outcome: z.string(), workers: z.array(z.string()) }),
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
