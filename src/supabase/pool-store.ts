import { z } from "zod";
import type { PoolStart } from "../contract/activities.ts";
import type { Message, WorkerOrder, WorkerOrderOutcome } from "../contract/pool-api.ts";
import type { SignalBatch } from "../contract/signal-batch.ts";
import type { Intent, Mode } from "../contract/intent.ts";
import type { BreakerState, SpendCaps } from "../contract/plan.ts";
import type { UndoneType } from "../policy/observation.ts";
import type { Verdict } from "../contract/worker-api.ts";
import { camelized } from "./camelized.ts";
import type { Database } from "./client.ts";
import { DatabaseError } from "./database-error.ts";
import { measure, READER_MEASURES_SEC } from "./measured/figures.ts";
import {
  type DetailedReading,
  intent,
  type ObserveRequest,
  poolObservation,
  type Reading,
  undoneTypes,
} from "./observation.ts";
import { readAll, readOne, shaped } from "./requests.ts";
import { TABLES } from "./tables.ts";

type Settings = Readonly<Record<string, unknown>>;

export interface StoredSettings {
  /** Settings that the pool itself has. */
  readonly own: Settings;
  /** Settings of the newest Temporal worker process. */
  readonly environment: Settings;
}

export interface PoolRecord extends StoredSettings {
  /** ISO 8601; null: no watch has made a full pass yet. */
  readonly observedAt: string | null;
  /** It was started and not shut down since. */
  readonly shouldRun: boolean;
}

export interface WantedSize {
  readonly desired: number;
  readonly min: number;
  readonly max: number;
}

interface PoolWatching {
  observe(pool: string, request: ObserveRequest): Promise<Reading>;
  /**
   * From now on only this watch may record decisions.
   * @param environment settings of this process; they rule unless a process that started later has given its own.
   */
  beginWatch(pool: string, watchId: string, environment: Settings, startedAtMs: number): Promise<void>;
  /** @param lasts false: the silence is over, and heartbeat ages count from now on. */
  markMassSilence(pool: string, lasts: boolean): Promise<void>;
  recordDecision(pool: string, decision: RecordedDecision): Promise<void>;
  /** Records the size that this watch wants, for the metrics. */
  noteSize(pool: string, watchId: string, size: WantedSize): Promise<void>;
  reserve(pool: string, request: ReserveRequest): Promise<{ outcome: string; workers: string[]; nowMs: number }>;
  /** Drains an external worker, if the verdict still holds: it has no workflow that could be signalled. */
  endExternal(worker: string, verdict: Verdict): Promise<void>;
  /** Ends the leases of external workers that fell silent or are stuck, and sets tasks aside that no worker can claim. */
  expireExternal(pool: string, silentSec: number, stuckSec: number): Promise<void>;
}

interface PoolSteering {
  open(pool: string, config: Settings, start?: PoolStart): Promise<{ living: string[] }>;
  /** Null: the pool was never started. */
  find(pool: string): Promise<PoolRecord | null>;
  /** Of all pools that were ever started, in their order. */
  names(): Promise<string[]>;
  /** @throws DatabaseError of status 404 when the pool was never started */
  settings(pool: string): Promise<StoredSettings>;
  /** Types of claimable tasks that nobody can do. Null: the pool was never started. */
  undone(pool: string): Promise<UndoneType[] | null>;
  /** The pool as it is now, the fleet and the account's spend included. Null: the pool was never started. */
  look(pool: string): Promise<DetailedReading | null>;
  setIntent(pool: string, message: Message): Promise<Intent>;
  /** Adds to the pool's own settings or replaces some; null removes one. @returns all. @param by who sent them. */
  reconfigure(pool: string, patch: Settings, by?: string | null): Promise<Settings>;
  orderWorker(pool: string, order: WorkerOrder): Promise<WorkerOrderOutcome>;
  journal(pool: string, kind: string, reason: string, details?: Settings): Promise<void>;
}

interface PoolSignalling {
  /** Writes each signal once. @returns null; or, with nothing written, what holds because another run wrote last. */
  writeSignals(pool: string, run: string, batch: SignalBatch): Promise<WrittenSignals | null>;
  /** Counts signals as this run does from now on, unless another run than `before` wrote meanwhile. */
  countSignals(pool: string, before: string, now: WrittenSignals, reset: string | null): Promise<void>;
}

export type PoolStore = PoolWatching & PoolSteering & PoolSignalling;

/** How many signals have taken effect, as the run that wrote last counts them. */
export interface WrittenSignals {
  readonly run: string;
  readonly written: number;
}

export interface RecordedDecision {
  readonly id: string;
  /** Refused when another watch has begun since. */
  readonly watchId: string;
  readonly reason: string;
  readonly details: Settings;
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
  /** What one costs an hour by the catalog, in USD; null: not known. */
  readonly priceUsd: number | null;
  /** Checked over all pools, one request at a time. */
  readonly caps: SpendCaps;
  /** What such a worker can do, as far as is known; null or left out: anything. */
  readonly taskTypes?: readonly string[] | null;
}

/** The pool's side of the database: what is observed, wanted, booked and journaled. Every call throws DatabaseError. */
export function poolStore(database: Database): PoolStore {
  return { ...watching(database), ...steering(database), ...signalling(database) };
}

function watching(database: Database): PoolWatching {
  return {
    observe: (pool, request) => observe(database, pool, request),
    async beginWatch(pool, watchId, environment, startedAtMs) {
      const args = { p_pool: pool, p_watch_id: watchId, p_environment: environment };
      await database.call("pool_begin_watch", { ...args, p_started_at: new Date(startedAtMs).toISOString() }, z.null());
    },
    async markMassSilence(pool, lasts) {
      await database.call("pool_mark_mass_silence", { p_pool: pool, p_lasts: lasts }, z.null());
    },
    async noteSize(pool, watchId, { desired, min, max }) {
      const args = { p_pool: pool, p_watch_id: watchId, p_desired: desired, p_min: min, p_max: max };
      await database.call("pool_note_size", args, z.null());
    },
    async recordDecision(pool, decision) {
      const args = {
        p_pool: pool,
        p_decision_id: decision.id,
        p_kind: "decision",
        p_reason: decision.reason,
        p_details: decision.details,
        p_signals: decision.signals,
        p_watch_id: decision.watchId,
        p_breaker: decision.breaker?.state ?? null,
        p_breaker_reason: decision.breaker?.reason ?? null,
      };
      await database.call("pool_record_decision", args, z.null());
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
          p_price_usd: request.priceUsd,
          p_max_hourly_usd: request.caps.maxHourlySpendUsd,
          p_daily_usd: request.caps.dailyBudgetUsd,
          p_task_types: request.taskTypes ?? null,
          // A plan of an older version does not have it.
          ...(request.caps.noFundsProbeMinutes === undefined
            ? {}
            : { p_no_funds_probe_min: request.caps.noFundsProbeMinutes }),
        },
        camelized(z.object({ outcome: z.string(), workers: z.array(z.string()), now_ms: z.number() })),
      ),
    async endExternal(worker, { evidence, leaseCause, reason, failedSinceMs = null }) {
      const args = { p_worker_id: worker, p_evidence: evidence, p_lease_cause: leaseCause, p_reason: reason };
      await database.call("end_external_worker", { ...args, p_failed_since_ms: failedSinceMs }, z.string());
    },
    async expireExternal(pool, silentSec, stuckSec) {
      const args = { p_pool: pool, p_silent_sec: silentSec, p_stuck_sec: stuckSec };
      await database.call("expire_external_workers", args, z.looseObject({ closed: z.number() }));
      await database.call("examine_line", { p_pool: pool }, z.looseObject({ outcome: z.string() }).nullable());
    },
  };
}

function steering(database: Database): PoolSteering {
  return {
    open: (pool, config, start) =>
      database.call(
        "pool_open",
        {
          p_pool: pool,
          p_config: config,
          p_start: start?.first ?? null,
          p_run: start?.run ?? null,
          p_should_run: start?.lasting === true ? true : null,
          p_woken: start?.woken === true,
        },
        z.object({ living: z.array(z.string()) }),
      ),
    find: (pool) => find(database, pool),
    names: () => names(database),
    async settings(pool) {
      const found = await find(database, pool);
      if (found === null) {
        throw new DatabaseError("settings", 404, "PT404", `pool ${pool} does not exist`, "See gpu-pool pool list.");
      }
      const { own, environment } = found;
      return { own, environment };
    },
    undone: (pool) => database.call("pool_undone", { p_pool: pool }, undoneTypes.nullable()),
    async look(pool) {
      // Callers show figures that depend on none of these values.
      const unused = { pollSec: 30, failureWindowMin: 5, minBoots: 0 };
      const figures = { everySec: READER_MEASURES_SEC, knownMs: null, target: null };
      const request = { knownFleetHash: null, full: false, spend: true, measure: figures, ...unused };
      try {
        return await observe(database, pool, request);
      } catch (error) {
        if (error instanceof DatabaseError && error.code === "PT404") {
          return null;
        }
        throw error;
      }
    },
    setIntent: (pool, message) =>
      database.call("pool_set_intent", { p_pool: pool, ...intentArguments(message) }, intent),
    reconfigure: (pool, patch, by = null) =>
      database.call("pool_reconfigure", { p_pool: pool, p_patch: patch, p_by: by }, z.record(z.string(), z.unknown())),
    orderWorker: (pool, { kind, worker, reason }) =>
      database.call(
        "order_worker",
        { p_pool: pool, p_worker_id: worker, p_kind: kind, p_reason: reason },
        z.object({
          outcome: z.enum(["ordered", "external", "already_leaving", "not_living", "unknown"]),
          status: z.string().nullable(),
        }),
      ),
    async journal(pool, kind, reason, details = {}) {
      await database.call("journal", { p_pool: pool, p_kind: kind, p_reason: reason, p_details: details }, z.null());
    },
  };
}

function signalling(database: Database): PoolSignalling {
  return {
    writeSignals: (pool, run, { messages, ...rest }) =>
      database.call(
        "pool_write_signals",
        {
          p_pool: pool,
          p_run: run,
          p_batch: {
            ...rest,
            messages: messages.map(({ place, message }) => ({ place, ...intentArguments(message) })),
          },
        },
        z.object({ run: z.string(), written: z.number() }).nullable(),
      ),
    async countSignals(pool, before, { run, written }, reset) {
      const args = { p_pool: pool, p_before: before, p_run: run, p_written: written, p_reset: reset };
      await database.call("pool_count_signals", args, z.null());
    },
  };
}

const settings = z.record(z.string(), z.unknown());
const poolRecord = camelized(
  z.object({ own: settings, environment: settings, observed_at: z.string().nullable(), should_run: z.boolean() }),
);

async function names(database: Database): Promise<string[]> {
  const rows = await readAll<{ name: string }>("read pools", (count, last) => {
    const pools = database[TABLES].from("pools").select("name");
    return (last === undefined ? pools : pools.gt("name", last.name)).order("name").limit(count);
  });
  return rows.map(({ name }) => name);
}

async function find(database: Database, pool: string): Promise<PoolRecord | null> {
  const columns = "own:config, environment, observed_at, should_run";
  const request = () => database[TABLES].from("pools").select(columns).eq("name", pool).maybeSingle();
  const row = await readOne("settings", request);
  return row && shaped("settings", poolRecord, row);
}

/** The settings of every pool, by its name. */
export async function settingsOfPools(database: Database): Promise<Map<string, StoredSettings>> {
  const columns = "name, own:config, environment";
  const rows = await readAll<{ name: string }>("settings of all pools", (count, last) => {
    const all = database[TABLES].from("pools").select(columns);
    return (last === undefined ? all : all.gt("name", last.name)).order("name").limit(count);
  });
  const named = shaped(
    "settings of all pools",
    z.array(z.object({ name: z.string(), own: settings, environment: settings })),
    rows,
  );
  return new Map(named.map(({ name, ...stored }) => [name, stored]));
}

async function observe(database: Database, pool: string, request: ObserveRequest): Promise<DetailedReading> {
  const reading = await database.call("pool_observe", observeArguments(pool, request), poolObservation);
  const measured =
    request.measure === undefined ? null : await measure(database, pool, request.measure, reading, request.full);
  return { ...reading, measured };
}

function observeArguments(pool: string, request: ObserveRequest): Record<string, unknown> {
  return {
    p_pool: pool,
    p_known_fleet: request.knownFleetHash,
    p_full: request.full,
    p_poll_sec: request.pollSec,
    p_failure_window_min: request.failureWindowMin,
    p_spend: request.spend,
    p_min_boots: request.minBoots,
    p_failures: request.failures ?? false,
    p_kinds: request.measure !== undefined,
    ...(request.taskTypes !== undefined && { p_task_types: request.taskTypes }),
    ...(request.sick && {
      p_sick_tasks: request.sick.sickWorkerMinTasks,
      p_sick_window_min: request.sick.sickWorkerWindowMinutes,
      p_sick_proof_min: request.sick.sickWorkerProofMinutes,
    }),
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
