import { z } from "zod";
import type { CreatedPod } from "../contract/activities.ts";
import { WORKER_STATUSES, type WorkerRow } from "../contract/inputs.ts";
import type { DrainOrder, Evidence, LeaseCause } from "../contract/worker-api.ts";
import { camelized } from "./camelized.ts";
import type { Database } from "./client.ts";

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
    config: z.record(z.string(), z.unknown()),
    environment: z.record(z.string(), z.unknown()),
  }),
);

/** A row with its pool's own settings and those of the newest Temporal worker process. */
export interface LoadedWorker extends WorkerRow {
  readonly config: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, unknown>>;
}

export interface BootStage {
  readonly name: string;
  /** The provider's own time, ISO 8601; null: it shows none. */
  readonly beganAt: string | null;
  readonly withinSec: number | null;
}

export interface WorkerStore {
  load(id: string): Promise<LoadedWorker | null>;
  /**
   * Asks for the right to post the pod of this name. Both hashes are SHA-256 in hex; without `beatHash` the worker sends
   * its heartbeats with its token only.
   * @returns not_elected: a request for it was already sent; no_funds: the account has none, and another worker tries it.
   */
  beginPost(
    id: string,
    tokenHash: string,
    lifetimeSec: number,
    beatHash?: string,
  ): Promise<"elected" | "not_elected" | "no_funds">;
  /** The provider refused its pod for lack of funds. */
  noteNoFunds(id: string, reason: string): Promise<void>;
  recordPod(id: string, pod: CreatedPod, adopted: boolean): Promise<void>;
  rearmPost(id: string, reason: string): Promise<void>;
  burnName(id: string, reason: string): Promise<void>;
  /** @param stage.withinSec the stage began at most this long ago; null: after the stage before it. */
  recordBootStage(id: string, stage: BootStage): Promise<void>;
  drain(id: string, order: DrainOrder): Promise<{ outcome: "drained" | "refused_busy" | "not_living"; busy: boolean }>;
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
    beginPost: (id, tokenHash, lifetimeSec, beatHash) =>
      database.call(
        "worker_begin_post",
        { p_worker_id: id, p_token_hash: tokenHash, p_lifetime_sec: lifetimeSec, p_beat_hash: beatHash ?? null },
        z.enum(["elected", "not_elected", "no_funds"]),
      ),
    noteNoFunds: (id, reason) => run("note_no_funds", { p_worker_id: id, p_reason: reason }),
    recordPod: (id, pod, adopted) =>
      run("worker_record_pod", {
        p_worker_id: id,
        p_pod_id: pod.podId,
        p_cost_per_hr_usd: pod.costPerHourUsd,
        p_created_at: pod.createdAt,
        p_adopted: adopted,
      }),
    rearmPost: (id, reason) => run("worker_rearm_post", { p_worker_id: id, p_reason: reason }),
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
  };
}
