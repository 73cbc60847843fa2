import { z } from "zod";
import { cut, storable } from "../../../supabase/functions/_shared/text.ts";
import type { FunctionAnswer, FunctionCall } from "./function-call.ts";
import { keptAnswer } from "./kept-request.ts";
import { QueueError } from "./queue-error.ts";
import type { Claim, Completion, FinishOutcome, KeptRequest, Lease, Queue } from "./queue.ts";

const MAX_ERROR_CHARS = 2_000;

const claimed = z.object({
  task_id: z.string(),
  task_type: z.string(),
  params: z.unknown(),
  project_id: z.string().nullish(),
  attempt: z.int(),
  lease_token: z.string(),
});
const noClaim = z.object({ error: z.string() });
const reported = z.object({ status: z.string() });
const predecessor = z.object({
  predecessor_id: z.string().nullable(),
  status: z.string().nullable(),
  output_location: z.string().nullable(),
});
const task = z.object({
  id: z.string(),
  status: z.string(),
  output_location: z.string().nullable(),
  result_data: z.unknown(),
});
const segments = z.array(z.object({ segment_index: z.int(), output_location: z.string() }));

/**
 * The queue as a user's own machine sees it, by edge functions alone: the database gives it tasks of its user's projects. It
 * sends no heartbeats; the database ends a lease that makes no progress.
 * @param types the names of the types that the worker can do
 */
export function createFunctionsQueue(call: FunctionCall, workerId: string, types: readonly string[]): Queue {
  async function claim(): Promise<Claim> {
    const { status, body } = await call("claim-next-task", { worker_id: workerId, run_type: "gpu", task_types: types });
    if (status === 204) {
      return { workerStatus: "active", task: null };
    }
    if (status >= 400) {
      return { workerStatus: noClaim.safeParse(body).data?.error ?? "unknown", task: null };
    }
    const { task_id: taskId, task_type: taskType, params, attempt, ...found } = read("claim-next-task", claimed, body);
    const { lease_token: leaseToken, project_id: projectId = null } = found;
    return { workerStatus: "active", task: { taskId, taskType, params, attempt, leaseToken, projectId } };
  }

  async function finish(lease: Lease, { storagePath, result }: Completion): Promise<FinishOutcome> {
    const answer = await call("complete-task", { ...leaseOf(lease), storage_path: storagePath, result_data: result });
    return isLost(answer) ? "lease_lost" : "completed";
  }

  const update = (lease: Lease, body: object) => call("update-task-status", { ...leaseOf(lease), ...body });
  return {
    heartbeat: () => Promise.resolve("active"),
    claim,
    async reportProgress(lease, progress, message) {
      const answer = await update(lease, { status: "In Progress", progress, output_location: message || null });
      return !isLost(answer);
    },
    finish,
    // A claim answers an open lease of this machine first, so repeating both calls answers the same.
    async finishAndClaim(lease, completion) {
      const outcome = await finish(lease, completion);
      return { outcome, ...(await claim()) };
    },
    async fail(lease, message, permanent) {
      const error = cut(message, MAX_ERROR_CHARS) || "the worker gave no reason";
      const answer = await call("mark-task-failed", { ...leaseOf(lease), error_message: error, permanent });
      if (isLost(answer)) {
        return "lease_lost";
      }
      return read("mark-task-failed", reported, answer.body).status === "Failed" ? "failed" : "requeued";
    },
    async release(lease, reason) {
      const answer = await update(lease, { status: "Queued", output_location: cut(reason, MAX_ERROR_CHARS) || null });
      return isLost(answer) ? "lease_lost" : "released";
    },
    async delegate(lease, subTasks, resultTaskId) {
      const rows = subTasks.map(({ id, taskType, params, dependantOn, afterSiblings = false }) => ({
        id,
        task_type: taskType,
        params,
        dependant_on: dependantOn,
        after_siblings: afterSiblings,
      }));
      const body = { ...leaseOf(lease), sub_tasks: storable(rows), result_task_id: resultTaskId };
      return isLost(await call("delegate-task", body)) ? "lease_lost" : "delegated";
    },
    ...readsOf(call),
    ...requestsOf(call),
  };
}

function requestsOf(call: FunctionCall): Pick<Queue, "keepRequest" | "keptRequest"> {
  const ask = async (lease: Lease, service: string, change: object): Promise<KeptRequest> => {
    const answer = await call("service-request", { ...leaseOf(lease), service, ...change });
    return read("service-request", keptAnswer, answer.body);
  };
  return {
    async keepRequest(lease, service, request) {
      const kept = request && { request_id: request.requestId, mark: request.mark };
      return (await ask(lease, service, { request: kept })).held;
    },
    keptRequest: (lease, service) => ask(lease, service, {}),
  };
}

function readsOf(call: FunctionCall): Pick<Queue, "outputOf" | "predecessorOutput" | "completedSegments"> {
  return {
    async outputOf(_lease, taskId) {
      const answer = await call(`tasks/${taskId}`);
      if (answer.status === 404) {
        return null;
      }
      const { id, status, output_location: location, result_data: resultData } = read("tasks", task, answer.body);
      return { taskId: id, status, outputLocation: status === "Complete" ? location : null, resultData };
    },
    async predecessorOutput({ taskId }) {
      const { body } = await call("get-predecessor-output", { task_id: taskId });
      const {
        predecessor_id: id,
        status,
        output_location: location,
      } = read("get-predecessor-output", predecessor, body);
      return id === null || status === null ? null : { taskId: id, status, outputLocation: location, resultData: null };
    },
    async completedSegments(lease, runId) {
      const body = { run_id: runId, project_id: "projectId" in lease ? lease.projectId : null };
      const answer = await call("get-completed-segments", body);
      return read("get-completed-segments", segments, answer.body).map((each) => ({
        segmentIndex: each.segment_index,
        outputLocation: each.output_location,
      }));
    },
  };
}

function leaseOf({ taskId, leaseToken }: Lease) {
  return { task_id: taskId, lease_token: leaseToken };
}

function isLost({ status }: FunctionAnswer): boolean {
  return status >= 400;
}

function read<T>(name: string, shape: z.ZodType<T>, body: unknown): T {
  const parsed = shape.safeParse(body);
  if (parsed.success) {
    return parsed.data;
  }
  throw new QueueError("rejected", name, 200, `the answer cannot be read: ${z.prettifyError(parsed.error)}`);
}
