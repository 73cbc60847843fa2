import { callDatabase, FunctionFailure } from "./failure.ts";
import { ANY_TEXT, optionalText, text, UUID } from "./fields.ts";
import type { FunctionHandler } from "./function-context.ts";
import { workerFunction } from "./worker-function.ts";

const RUN_TYPE = { pattern: /^(?:gpu|api)$/, wanted: "gpu or api" };

/** `{worker_id, run_type?}` → 200 with the task and its lease, 204 when there is none to be had. */
export const claimNextTask: FunctionHandler = workerFunction("claim-next-task", async (body, caller) => {
  optionalText(body, "run_type", RUN_TYPE);
  const workerId = text(body, "worker_id", ANY_TEXT);
  const { worker_status: status, task } = await callDatabase(caller, "api_claim_task", { p_worker_id: workerId });
  if (typeof task === "object" && task !== null) return Response.json(task);
  // A worker that is draining finds nothing, and that is an answer; one that nobody booked would wait for ever.
  if (status !== "unknown") return new Response(null, { status: 204 });
  throw new FunctionFailure(
    409,
    "unknown_worker",
    `no worker has the id ${workerId}: it has to be booked first`,
    "worker_id",
  );
});

/** `{run_type?}` → `{totals}`: what may be claimed and what runs, of what the caller may see. */
export const taskCounts: FunctionHandler = workerFunction("task-counts", async (body, caller) =>
  Response.json(await callDatabase(caller, "task_counts", { p_run_type: optionalText(body, "run_type", RUN_TYPE) })),
);

/** `{task_id?, task_type, params, project_id?, dependant_on?, priority?}` → `{task_id, status, message}`. */
export const createTask: FunctionHandler = workerFunction("create-task", async (body, caller) => {
  const { task_id: id = null, ...fields } = body;
  const task = await callDatabase(caller, "api_create_task", { p_task: { ...fields, ...(id !== null && { id }) } });
  return Response.json({ task_id: task["id"], status: task["status"], message: "Task queued" });
});

/** `{task_id}` → `{predecessor_id, output_location, status}`, all null when the task waits for no other. */
export const getPredecessorOutput: FunctionHandler = workerFunction("get-predecessor-output", async (body, caller) =>
  Response.json(await callDatabase(caller, "api_predecessor_output", { p_task_id: text(body, "task_id", UUID) })),
);

/** `{run_id, project_id}` → `[{segment_index, output_location}]`, in order. */
export const getCompletedSegments: FunctionHandler = workerFunction("get-completed-segments", async (body, caller) =>
  Response.json(
    await callDatabase(caller, "api_completed_segments", {
      p_run_id: text(body, "run_id", ANY_TEXT),
      p_project_id: text(body, "project_id", UUID),
    }),
  ),
);
