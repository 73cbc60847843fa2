import type { GraphParent } from "../../../src/task-types/graphs/rows.ts";
import { resolveParameters } from "../../../src/task-types/resolve.ts";
import type { Given } from "../../../src/task-types/resolved.ts";
import { findTaskType } from "../../../src/task-types/task-types.ts";
import { subTaskId } from "../../../src/gpu-worker/tasks/graphs/sub-task-id.ts";

function resolve(type: string, params: object) {
  return resolveParameters(findTaskType(type)!, params);
}

/** The parameters of a task that has no problem. */
export function given(type: string, params: object): Given {
  const resolution = resolve(type, params);
  if (!resolution.ok) {
    throw new Error(JSON.stringify(resolution.problems));
  }
  return resolution.values;
}

/** What is wrong with a task's parameters, as a person reads it. */
export function problems(type: string, params: object): string[] {
  const resolution = resolve(type, params);
  return resolution.ok ? [] : resolution.problems.map(({ field, what }) => `${field}: ${what}`);
}

/** An orchestrator task whose sub-tasks have the ids that the worker gives them. */
export function parent(params: object): GraphParent {
  const taskId = "5f1d0c1e-6f0c-4c55-9c57-0f8a5f0b7a11";
  return { taskId, projectId: null, params: { ...params }, idOf: (kind, index) => subTaskId(taskId, kind, index) };
}
