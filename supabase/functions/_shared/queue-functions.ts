import { callDatabase, FunctionFailure } from "./failure.ts";
import { ANY_TEXT, optionalText, optionalTexts, text, UUID } from "./fields.ts";
import type { FunctionClient, FunctionHandler } from "./function-context.ts";
import { workerFunction } from "./worker-function.ts";

const RUN_TYPE = { pattern: /^(?:gpu|api)$/, wanted: "gpu or api" };

/** The id of a caller that gives none: a worker's own, or the same one for the same personal access token. */
async function idOfToken(token: string, caller: FunctionClient): Promise<string> {
  const { worker_id: own } = await callDatabase(caller, "api_caller", {});
  if (typeof own === "string") {
    return own;
  }
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token)));
  return `token-${Array.from(hash.subarray(0, 6), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

const NO_TASK: Record<string, readonly [code: string, message: string]> = {
  unknown: [
    "unknown_worker",
    "is not registered. It registers with its first heartbeat under the service key, or by gpu-pool worker token. Claim again then",
  ],
  spawning: ["worker_not_ready", "has sent no heartbeat yet. Its first one makes it active. Claim again then"],
  error: ["worker_ended", "has ended in error and gets no task any more. Start it under a new id"],
  terminated: ["worker_ended", "has ended and gets no task any more. Start it under a new id"],
};

/**
 * `{worker_id?, run_type?, task_types?}` → 200 with the task and its lease, 204 when the queue has no task for this worker. Only the
 * bearer of a personal access token or of a worker's token may leave out `worker_id`. `task_types`: what the worker can do, from
 * now on; without it, what it said before.
 */
export const claimNextTask: FunctionHandler = workerFunction(
  "claim-next-task",
  async (body, caller, _context, headers) => {
    optionalText(body, "run_type", RUN_TYPE);
    const token = headers["x-api-token"];
    const isUnnamed = body["worker_id"] == null && token !== undefined;
    const workerId = isUnnamed ? await idOfToken(token, caller) : text(body, "worker_id", ANY_TEXT);
    const { worker_status: status, task } = await callDatabase(caller, "api_claim_task", {
      p_worker_id: workerId,
      p_task_types: optionalTexts(body, "task_types"),
    });
    if (typeof task === "object" && task !== null) {
      return Response.json(task);
    }
    // A draining worker ends soon. The others here would wait for ever without knowing why.
    const problem = NO_TASK[String(status)];
    if (problem === undefined) {
      return new Response(null, { status: 204 });
    }
    throw new FunctionFailure(409, problem[0], `worker ${workerId} ${problem[1]}`, "worker_id");
  },
);

/** `{run_type?, worker_id?}` → `{totals}`: counts of the claimable and the running tasks that the caller may see. */
export const taskCounts: FunctionHandler = workerFunction("task-counts", async (body, caller) =>
  Response.json(
    await callDatabase(caller, "task_counts", {
      p_run_type: optionalText(body, "run_type", RUN_TYPE),
      p_worker_id: optionalText(body, "worker_id", ANY_TEXT),
    }),
  ),
);

/** `{task_id?, task_type, params, project_id?, dependant_on?, priority?}` → `{task_id, status, message}`. */
export const createTask: FunctionHandler = workerFunction("create-task", async (body, caller) => {
  const { task_id: id = null, ...fields } = body;
  const task = await callDatabase(caller, "api_create_task", { p_task: { ...fields, ...(id !== null && { id }) } });
  return Response.json({ task_id: task["id"], status: task["status"], message: "Task queued" });
});

/**
 * `{task_id, sub_tasks?, result_task_id?, lease_token?}` → `{task_id, outcome}`: writes the sub-tasks, each `{id, task_type, params,
 * dependant_on?, after_siblings?}`, and lets the task wait for them. The outcome is `delegated` or `no_children`.
 */
export const delegateTask: FunctionHandler = workerFunction("delegate-task", async (body, caller) =>
  Response.json(
    await callDatabase(caller, "api_delegate_task", {
      p_task_id: text(body, "task_id", UUID),
      p_sub_tasks: body["sub_tasks"] ?? null,
      p_result_task_id: optionalText(body, "result_task_id", UUID),
      p_lease_token: optionalText(body, "lease_token", UUID),
    }),
  ),
);

/** `{task_id}` → `{predecessor_id, output_location, status}`, all null when the task waits for no other. */
export const getPredecessorOutput: FunctionHandler = workerFunction("get-predecessor-output", async (body, caller) =>
  Response.json(await callDatabase(caller, "api_predecessor_output", { p_task_id: text(body, "task_id", UUID) })),
);

/** `{run_id, project_id?}` → `[{segment_index, output_location}]`, in order. `project_id` is optional with the service key. */
export const getCompletedSegments: FunctionHandler = workerFunction("get-completed-segments", async (body, caller) => {
  const runId = text(body, "run_id", ANY_TEXT);
  const projectId = optionalText(body, "project_id", UUID);
  const run = { p_run_id: runId, p_project_id: projectId };
  return Response.json(await callDatabase(caller, "api_completed_segments", run));
});
