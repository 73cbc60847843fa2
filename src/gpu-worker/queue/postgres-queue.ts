import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { cut } from "../../../supabase/functions/_shared/text.ts";
import { createDatabaseCall, leaseArgs } from "./database-call.ts";
import type { Outages } from "./outages.ts";
import { createGraphCalls } from "./postgres-graph.ts";
import { createRequestCalls } from "./postgres-requests.ts";
import type { Claim, Completion, Lease, Queue } from "./queue.ts";

const MAX_ERROR_CHARS = 2_000;

const heartbeatAnswer = z.object({ worker_status: z.string() });
const claimAnswer = z.object({
  worker_status: z.string(),
  task: z
    .object({
      task_id: z.string(),
      task_type: z.string(),
      params: z.unknown(),
      project_id: z.string().nullish(),
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
  const {
    task_id: taskId,
    task_type: taskType,
    params,
    attempt,
    lease_token: leaseToken,
    project_id: projectId,
  } = task;
  return { workerStatus, task: { taskId, taskType, params, attempt, leaseToken, projectId: projectId ?? null } };
}

/** The task queue by the database functions (`sql/`), called over PostgREST. */
export function createPostgresQueue(client: SupabaseClient, workerId: string, outages: Outages): Queue {
  const call = createDatabaseCall(client, outages);
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
    ...createGraphCalls(call),
    ...createRequestCalls(call),
  };
}
