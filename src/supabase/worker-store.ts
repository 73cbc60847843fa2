import { z } from "zod";
import type { CreatedPod } from "../contract/activities.ts";
import { WORKER_STATUSES, type WorkerRow } from "../contract/inputs.ts";
import { POD_JOB_PURPOSES, type PodJobPurpose, type PodJobState } from "../contract/pod-job-state.ts";
import { CLOUDS } from "../contract/pool-settings.ts";
import type { DrainOrder, Evidence, LeaseCause } from "../contract/worker-api.ts";
import type { MeasuredSpeed } from "../policy/latency/measured.ts";
import type { Candidate, Miss, Place } from "../policy/placement.ts";
import { camelized } from "./camelized.ts";
import type { Database } from "./client.ts";
import { speeds } from "./measured/figures.ts";

const row: z.ZodType<LoadedWorker> = camelized(
  z.object({
    now_ms: z.number(),
    id: z.string(),
    status: z.enum(WORKER_STATUSES),
    pod_id: z.string().nullable(),
    post_state: z.enum(["posting", "posted", "burned"]).nullable(),
    posted_ms: z.number().nullable(),
    created_ms: z.number(),
    ready_ms: z.number().nullable(),
    boot_stage: z.string(),
    boot_stage_ms: z.number(),
    terminating_ms: z.number().nullable(),
    drains_without_deadline: z.boolean(),
    gone_ms: z.number().nullable(),
    status_reason: z.string().nullable(),
    busy: z.boolean(),
    pool: z.string(),
    decision_id: z.string().nullable(),
    task_id: z.string().nullable(),
    config: z.record(z.string(), z.unknown()),
    environment: z.record(z.string(), z.unknown()),
    job: z
      .object({
        purpose: z.enum(POD_JOB_PURPOSES),
        timeout_sec: z.number(),
        state: z.enum(["running", "done", "failed"]),
        error: z.string().nullable(),
      })
      .nullable(),
  }),
);

/** A row with its pool's own settings and those of the newest Temporal worker process. */
export interface LoadedWorker extends Omit<WorkerRow, "job"> {
  readonly pool: string;
  /** The decision that booked it; null: none did. */
  readonly decisionId: string | null;
  /** The task that it holds, or that it held when it was drained or failed. */
  readonly taskId: string | null;
  readonly config: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, unknown>>;
  /** Null: it is a GPU worker. */
  readonly job: PodJobState | null;
}

export interface BootStage {
  readonly name: string;
  /** The provider's own time, ISO 8601; null: it shows none. */
  readonly beganAt: string | null;
  readonly withinSec: number | null;
}

export interface WorkerStore {
  load(id: string): Promise<LoadedWorker | null>;
  /** The provider refused its pod for lack of funds. */
  noteNoFunds(id: string, reason: string): Promise<void>;
  recordPod(id: string, pod: CreatedPod, adopted: boolean): Promise<void>;
  burnName(id: string, reason: string): Promise<void>;
  /** @param stage.withinSec the stage began at most this long ago; null: after the stage before it. */
  recordBootStage(id: string, stage: BootStage): Promise<void>;
  drain(id: string, order: DrainOrder): Promise<{ outcome: "drained" | "refused_busy" | "not_living"; busy: boolean }>;
  /** Drains each as `drain` does, in one transaction. @returns those that refused, because they are busy */
  drainMany(orders: readonly { readonly worker: string; readonly order: DrainOrder }[]): Promise<string[]>;
  fail(
    id: string,
    request: FailRequest,
  ): Promise<{ outcome: "failed" | "refused_ready" | "refused_recovered" | "not_living" }>;
  expel(id: string, reason: string): Promise<number>;
  /** @returns how many seconds ago the provider first accepted the deletion. */
  recordDeleted(id: string): Promise<number>;
  /** Opens an alert until the pod is seen to be gone. */
  deleteFails(id: string, message: string): Promise<void>;
  gone(id: string): Promise<void>;
  /** Whether the diagnostics of this failed worker still lack its pod's log. */
  wantsPodLog(id: string): Promise<boolean>;
  addPodLog(id: string, log: PodLog): Promise<void>;
}

/** What the provider showed of a pod's log. */
export type PodLog = { readonly lines: readonly PodLogLine[] } | { readonly error: string };

export interface PodLogLine {
  /** system: the provider's own lines, such as those about the image. */
  readonly source: "container" | "system";
  readonly text: string;
}

export interface FailRequest {
  readonly cause: LeaseCause;
  readonly reason: string;
  /** Null: the pool gave no verdict; a deadline of the worker's own workflow passed. */
  readonly evidence: Evidence | null;
  readonly heartbeatMs: number | null;
  readonly progressMs: number | null;
  readonly failedSinceMs?: number | null;
  readonly onlyIfSpawning: boolean;
}

/** A worker's row as its lifecycle workflow writes it. */
export function workerStore(database: Database): WorkerStore {
  const run = async (name: string, args: Record<string, unknown>) => {
    await database.call(name, args, z.unknown());
  };
  return {
    load: (id) => database.call("worker_load", { p_worker_id: id }, row.nullable()),
    noteNoFunds: (id, reason) => run("note_no_funds", { p_worker_id: id, p_reason: reason }),
    recordPod: (id, pod, adopted) =>
      run("worker_record_pod", {
        p_worker_id: id,
        p_pod_id: pod.podId,
        p_cost_per_hr_usd: pod.costPerHourUsd,
        p_created_at: pod.createdAt,
        p_adopted: adopted,
      }),
    burnName: (id, reason) => run("worker_burn_name", { p_worker_id: id, p_reason: reason }),
    recordBootStage: (id, { name, beganAt, withinSec }) =>
      run("worker_boot_stage", {
        p_worker_id: id,
        p_stage: name,
        ...(beganAt === null ? {} : { p_began_at: beganAt }),
        ...(withinSec === null ? {} : { p_within_sec: withinSec }),
      }),
    drain: (id, { reason, onlyIdle, untilTaskEnds = false }) =>
      database.call(
        "drain_worker",
        { p_worker_id: id, p_reason: reason, p_only_idle: onlyIdle, p_until_task_ends: untilTaskEnds },
        z.object({ outcome: z.enum(["drained", "refused_busy", "not_living"]), busy: z.boolean() }),
      ),
    drainMany: (orders) => database.call("drain_workers", { p_orders: orders.map(drainRow) }, z.array(z.string())),
    fail: (id, request) =>
      database.call(
        "fail_worker",
        {
          p_worker_id: id,
          p_lease_cause: request.cause,
          p_reason: request.reason,
          p_heartbeat_ms: request.heartbeatMs,
          p_require_spawning: request.onlyIfSpawning,
          p_evidence: request.evidence,
          p_progress_ms: request.progressMs,
          p_failed_since_ms: request.failedSinceMs ?? null,
        },
        z.object({ outcome: z.enum(["failed", "refused_ready", "refused_recovered", "not_living"]) }),
      ),
    expel: (id, reason) => database.call("expel_worker", { p_worker_id: id, p_reason: reason }, z.number()),
    recordDeleted: (id) => database.call("worker_deleted", { p_worker_id: id }, z.number()),
    deleteFails: (id, message) => run("worker_delete_failing", { p_worker_id: id, p_message: message }),
    gone: (id) => run("worker_gone", { p_worker_id: id }),
    wantsPodLog: (id) => database.call("worker_wants_pod_log", { p_worker_id: id }, z.boolean()),
    addPodLog: (id, log) => run("worker_add_pod_log", { p_worker_id: id, p_pod_log: log }),
  };
}

function drainRow({ worker, order }: { readonly worker: string; readonly order: DrainOrder }): object {
  const { reason, onlyIdle, untilTaskEnds = false } = order;
  return { worker_id: worker, reason, only_idle: onlyIdle, until_task_ends: untilTaskEnds };
}

const miss: z.ZodType<Miss> = camelized(
  z.object({
    gpu_type: z.string(),
    cloud: z.enum(CLOUDS),
    data_center: z.string().nullable(),
    min_memory_gb: z.number(),
    at_ms: z.number(),
  }),
);
const ground: z.ZodType<PlacementGround> = camelized(
  z.object({
    now_ms: z.number(),
    config: z.record(z.string(), z.unknown()),
    environment: z.record(z.string(), z.unknown()),
    decision_id: z.string().nullable(),
    job: z
      .object({
        purpose: z.enum(POD_JOB_PURPOSES),
        details: z.object({
          settings: z.record(z.string(), z.unknown()),
          variables: z.record(z.string(), z.string()),
        }),
      })
      .nullable(),
    misses: z.array(miss),
    speeds,
  }),
);

/** What the database knows of where a worker's pod may be asked for. */
export interface PlacementGround {
  readonly nowMs: number;
  /** The pool's own settings. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Settings of the newest Temporal worker process. */
  readonly environment: Readonly<Record<string, unknown>>;
  /** The decision that booked the worker; null: none did. */
  readonly decisionId: string | null;
  /** Null: it is a GPU worker. */
  readonly job: GroundOfJob | null;
  /** Of this pool, within the last day. */
  readonly misses: readonly Miss[];
  /** How long the pool's last tasks took on each GPU type. */
  readonly speeds: readonly MeasuredSpeed[];
}

export interface GroundOfJob {
  readonly purpose: PodJobPurpose;
  readonly details: {
    /** The pool's settings that differ for this pod. */
    readonly settings: Readonly<Record<string, unknown>>;
    readonly variables: Readonly<Record<string, string>>;
  };
}

export interface PostRequest {
  /** SHA-256 in hex. */
  readonly tokenHash: string;
  readonly lifetimeSec: number;
  /** SHA-256 in hex; left out: the worker sends its heartbeats with its token only. */
  readonly beatHash?: string;
  readonly place?: Candidate;
  /** Why this place, for the journal. */
  readonly why?: string;
  /** A place that is dearer than what was booked must fit under it; null: no limit. */
  readonly maxHourlySpendUsd?: number | null;
}

export type PostAnswer = "elected" | "not_elected" | "no_funds" | "over_budget";

export interface PlacementStore {
  /** Null: there is no such worker. */
  read(worker: string): Promise<PlacementGround | null>;
  /**
   * Asks for the right to post the pod of this name.
   * @returns not_elected: a request for it was already sent; no_funds: the account has none, and another worker tries
   * it; over_budget: the place is too dear for the account's ceiling.
   */
  beginPost(worker: string, request: PostRequest): Promise<PostAnswer>;
  /** @param miss the place that is to cool down; left out: the refusal says nothing about the place. */
  rearmPost(worker: string, reason: string, miss?: Place): Promise<void>;
  /** No place is left for this worker's pod. */
  noteNoPlace(worker: string, reason: string): Promise<void>;
}

/** How a worker's pod is asked for: where, once, and what a refusal leaves behind. Every call throws DatabaseError. */
export function placementStore(database: Database): PlacementStore {
  const run = async (name: string, args: Record<string, unknown>) => {
    await database.call(name, args, z.unknown());
  };
  return {
    read: (worker) => database.call("worker_placement", { p_worker_id: worker }, ground.nullable()),
    beginPost: (worker, { tokenHash, lifetimeSec, beatHash, place, why, maxHourlySpendUsd }) =>
      database.call(
        "worker_begin_post",
        {
          p_worker_id: worker,
          p_token_hash: tokenHash,
          p_lifetime_sec: lifetimeSec,
          p_beat_hash: beatHash ?? null,
          p_place: place === undefined ? null : { ...asJson(place), usd_per_hour: place.usdPerHour, why: why ?? null },
          p_max_hourly_usd: maxHourlySpendUsd ?? null,
        },
        z.enum(["elected", "not_elected", "no_funds", "over_budget"]),
      ),
    rearmPost: (worker, reason, missed) =>
      run("worker_rearm_post", {
        p_worker_id: worker,
        p_reason: reason,
        p_miss: missed === undefined ? null : asJson(missed),
      }),
    noteNoPlace: (worker, reason) => run("note_no_place", { p_worker_id: worker, p_reason: reason }),
  };
}

function asJson({ gpuType, cloud, dataCenter, minMemoryGb }: Place): Record<string, unknown> {
  return { gpu_type: gpuType, cloud, data_center: dataCenter, min_memory_gb: minMemoryGb };
}
