import { finishWithFiles } from "./complete-task.ts";
import { callDatabase } from "./failure.ts";
import { ANY_TEXT, badField, flag, optionalText, text, UUID } from "./fields.ts";
import type { FunctionHandler } from "./function-context.ts";
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

/**
 * `{task_id, status, output_location?, thumbnail_url?, reset_generation_started_at?}`, as workers of the incumbent send
 * it. A failure counts as one attempt; the answer's `status` says whether the task is in the queue again.
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

/** `{task_id, error_message}`: a task error. The answer's `status` says whether the task is in the queue again. */
export const markTaskFailed: FunctionHandler = workerFunction("mark-task-failed", async (body, caller) => {
  const taskId = text(body, "task_id", UUID);
  const updated = await callDatabase(caller, "api_update_task", {
    p_task_id: taskId,
    p_status: "Failed",
    p_note: text(body, "error_message", ANY_TEXT),
    p_lease_token: optionalText(body, "lease_token", UUID),
  });
  const { status } = updated;
  return Response.json({ success: true, task_id: taskId, status, message: `Task is ${String(status)}` });
});
