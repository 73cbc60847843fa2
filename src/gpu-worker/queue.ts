import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { cut, storable, UnstorableError } from "../../supabase/functions/_shared/text.ts";
import type { Outages } from "./outages.ts";
import { QueueError, kindOf } from "./queue-error.ts";
import type { Vram } from "./vram.ts";

export interface Lease {
  readonly taskId: string;
  readonly leaseToken: string;
}

export interface ClaimedTask extends Lease {
  readonly taskType: string;
  readonly params: unknown;
  readonly attempt: number;
}

export interface Claim {
  readonly workerStatus: string;
  readonly task: ClaimedTask | null;
}

export interface Completion {
  readonly storagePath: string;
  readonly outputLocation: string;
  readonly result: object;
}

export type FinishOutcome = "completed" | "already_completed" | "lease_lost";

/** The task queue as this worker sees it. Every call throws QueueError; none retries by itself. */
export interface Queue {
  /** Reports that the process is alive. Answers the status of the worker's row. */
  heartbeat(vram: Vram): Promise<string>;
  /** Takes the next task. An open lease of this worker comes first, so that a restarted process resumes its task. */
  claim(): Promise<Claim>;
  /** `progress` from 0 to 1. Answers whether the lease is still held. */
  reportProgress(lease: Lease, progress: number, message: string): Promise<boolean>;
  finish(lease: Lease, completion: Completion): Promise<FinishOutcome>;
  /**
   * Both in one transaction. The same call again, after a lost answer, answers "already_completed" and the lease that the
   * first one opened. A lease that does not exist any more claims nothing: "lease_lost", the status "unknown" and no task.
   */
  finishAndClaim(lease: Lease, completion: Completion): Promise<Claim & { readonly outcome: FinishOutcome }>;
  fail(lease: Lease, message: string, permanent: boolean): Promise<"requeued" | "failed" | "lease_lost">;
  release(lease: Lease, reason: string): Promise<"released" | "lease_lost">;
}

const MAX_ERROR_CHARS = 2_000;

const heartbeatAnswer = z.object({ worker_status: z.string() });
const claimAnswer = z.object({
  worker_status: z.string(),
  task: z
    .object({
      task_id: z.string(),
      task_type: z.string(),
      params: z.unknown(),
      attempt: z.int(),
      lease_token: z.string(),
    })
    .nullable(),
});
const progressAnswer = z.object({ held: z.boolean() });
const finishAnswer = z.object({ outcome: z.enum(["completed", "already_completed", "lease_lost"]) });
const finishAndClaimAnswer = claimAnswer.extend(finishAnswer.shape);
const failAnswer = z.object({ outcome: z.enum(["requeued", "failed", "lease_lost"]) });
const releaseAnswer = z.object({ outcome: z.enum(["released", "lease_lost"]) });

function claimOf({ worker_status: workerStatus, task }: z.infer<typeof claimAnswer>): Claim {
  if (task === null) {
    return { workerStatus, task };
  }
  const { task_id: taskId, task_type: taskType, params, attempt, lease_token: leaseToken } = task;
  return { workerStatus, task: { taskId, taskType, params, attempt, leaseToken } };
}

/** Arguments as the database takes them. @throws QueueError when they are nested too deeply or too long */
function sendable(name: string, args: object): object {
  try {
    return storable(args);
  } catch (error) {
    throw error instanceof UnstorableError ? new QueueError("rejected", name, 0, error.message, error) : error;
  }
}

/** The task queue by the database functions (`sql/`), called over PostgREST. */
export function createQueue(client: SupabaseClient, workerId: string, outages: Outages): Queue {
  async function call<T>(name: string, args: object, answer: z.ZodType<T>): Promise<T> {
    const { data, error, status } = await client.rpc(name, sendable(name, args));
    if (error) {
      const cause = status === 0 ? /Caused by: (.*)/.exec(error.details)?.[1] : undefined;
      const detail = [error.message, error.hint, cause].filter(Boolean).join("; ");
      const failure = new QueueError(kindOf(status, error.code), name, status, detail);
      outages.failed(failure);
      throw failure;
    }
    outages.answered(name);
    const parsed = answer.safeParse(data);
    if (parsed.success) {
      return parsed.data;
    }
    throw new QueueError("rejected", name, status, `the answer cannot be read: ${z.prettifyError(parsed.error)}`);
  }

  const leaseArgs = (lease: Lease) => ({ p_task_id: lease.taskId, p_lease_token: lease.leaseToken });
  const finishArgs = (lease: Lease, { storagePath, outputLocation, result }: Completion) => ({
    ...leaseArgs(lease),
    p_storage_path: storagePath,
    p_output_location: outputLocation,
    p_result: result,
  });

  return {
    async heartbeat(vram) {
      const args = { p_worker_id: workerId, p_vram_total_mb: vram.totalMb, p_vram_used_mb: vram.usedMb };
      return (await call("worker_heartbeat", args, heartbeatAnswer)).worker_status;
    },
    async claim() {
      return claimOf(await call("claim_task", { p_worker_id: workerId }, claimAnswer));
    },
    async reportProgress(lease, progress, message) {
      const args = { ...leaseArgs(lease), p_progress: progress, p_message: message };
      return (await call("report_progress", args, progressAnswer)).held;
    },
    async finish(lease, completion) {
      return (await call("finish_task", finishArgs(lease, completion), finishAnswer)).outcome;
    },
    async finishAndClaim(lease, completion) {
      const answer = await call("finish_and_claim", finishArgs(lease, completion), finishAndClaimAnswer);
      return { outcome: answer.outcome, ...claimOf(answer) };
    },
    async fail(lease, message, permanent) {
      const args = { ...leaseArgs(lease), p_error: cut(message, MAX_ERROR_CHARS), p_permanent: permanent };
      return (await call("fail_task", args, failAnswer)).outcome;
    },
    async release(lease, reason) {
      return (await call("release_task", { ...leaseArgs(lease), p_reason: reason }, releaseAnswer)).outcome;
    },
  };
}
