import { finishWithFiles } from "./complete-task.ts";
import { callDatabase, FunctionFailure } from "./failure.ts";
import { ANY_TEXT, badField, type Body, flag, optionalFraction, optionalText, text, UUID } from "./fields.ts";
import type { FunctionClient, FunctionHandler } from "./function-context.ts";
import { storedPath } from "./task-files.ts";
import { workerFunction } from "./worker-function.ts";

const STATUSES: Record<string, string> = {
  queued: "Queued",
  "in progress": "In Progress",
  complete: "Complete",
  completed: "Complete",
  failed: "Failed",
  cancelled: "Cancelled",
};
const STATUS_WANTED = "Queued, In Progress, Complete, Failed or Cancelled";

/** Calls a function that takes a lease. @throws FunctionFailure 400 without its token, 409 when it is lost */
async function onLease(body: Body, caller: FunctionClient, name: string, args: Body): Promise<Body> {
  const taskId = text(body, "task_id", UUID);
  const lease = { p_task_id: taskId, p_lease_token: text(body, "lease_token", UUID) };
  const answer = await callDatabase(caller, name, { ...lease, ...args });
  if (answer["held"] === false || answer["outcome"] === "lease_lost") {
    throw new FunctionFailure(409, "conflict", `the lease on task ${taskId} is lost`, "lease_token");
  }
  return answer;
}

/** The progress that a worker sends with its lease's token; null: it sends none. */
async function reportOnLease(body: Body, caller: FunctionClient): Promise<Response | null> {
  const progress = optionalFraction(body, "progress");
  if (progress === null) {
    return null;
  }
  const message = optionalText(body, "output_location", ANY_TEXT);
  await onLease(body, caller, "report_progress", { p_progress: progress, p_message: message });
  const status = "In Progress";
  return Response.json({ success: true, task_id: body["task_id"], status, message: `Task is ${status}` });
}

/**
 * `{task_id, status, output_location?, thumbnail_url?, reset_generation_started_at?}`, as workers of the incumbent send
 * it. A failure counts as one attempt; the answer's `status` says whether the task is in the queue again. With its
 * `lease_token`, a worker may also send `progress` from 0 to 1.
 */
export const updateTaskStatus: FunctionHandler = workerFunction("update-task-status", async (body, caller, context) => {
  const taskId = text(body, "task_id", UUID);
  const leaseToken = optionalText(body, "lease_token", UUID);
  const status =
    STATUSES[text(body, "status", { pattern: /./, wanted: STATUS_WANTED }).toLowerCase().replaceAll("_", " ")];
  const location = optionalText(body, "output_location", ANY_TEXT);
  const thumbnailUrl = optionalText(body, "thumbnail_url", ANY_TEXT);
  const resetStarted = flag(body, "reset_generation_started_at");
  if (status === undefined) {
    throw badField("status", STATUS_WANTED);
  }

  if (status === "Cancelled") {
    await callDatabase(caller, "api_cancel_task", { p_id: taskId });
    return Response.json({ success: true, task_id: taskId, status, message: "Task is Cancelled" });
  }
  if (status === "Complete") {
    const path = location === null ? null : storedPath(context, location);
    if (path === null) {
      throw badField("output_location", `the public address of an object in the bucket ${context.videoBucket}`);
    }
    const thumbnailPath = thumbnailUrl === null ? null : storedPath(context, thumbnailUrl);
    await finishWithFiles(taskId, leaseToken, { path, thumbnailPath }, caller, context);
    return Response.json({ success: true, task_id: taskId, status, message: "Task is Complete" });
  }
  const onItsLease = status === "In Progress" ? await reportOnLease(body, caller) : null;
  if (onItsLease !== null) {
    return onItsLease;
  }
  const updated = await callDatabase(caller, "api_update_task", {
    p_task_id: taskId,
    p_status: status,
    p_note: location,
    p_reset_started: resetStarted,
    p_lease_token: leaseToken,
  });
  const { status: reached } = updated;
  return Response.json({ success: true, task_id: taskId, status: reached, message: `Task is ${String(reached)}` });
});

/**
 * `{task_id, error_message, permanent?}`: a task error. The answer's `status` says whether the task is in the queue again.
 * `permanent`, with the lease's token: no attempt can succeed.
 */
export const markTaskFailed: FunctionHandler = workerFunction("mark-task-failed", async (body, caller) => {
  const taskId = text(body, "task_id", UUID);
  if (flag(body, "permanent")) {
    const error = text(body, "error_message", ANY_TEXT);
    await onLease(body, caller, "fail_task", { p_error: error, p_permanent: true });
    return Response.json({ success: true, task_id: taskId, status: "Failed", message: "Task is Failed" });
  }
  const updated = await callDatabase(caller, "api_update_task", {
    p_task_id: taskId,
    p_status: "Failed",
    p_note: text(body, "error_message", ANY_TEXT),
    p_lease_token: optionalText(body, "lease_token", UUID),
  });
  const { status } = updated;
  return Response.json({ success: true, task_id: taskId, status, message: `Task is ${String(status)}` });
});
