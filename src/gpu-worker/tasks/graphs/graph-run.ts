import { isObject } from "../../../task-types/levels.ts";
import type { GraphParent, TaskGraph } from "../../../task-types/graphs/rows.ts";
import { resolveParameters } from "../../../task-types/resolve.ts";
import type { Given, Problem } from "../../../task-types/resolved.ts";
import type { TaskOutput } from "../../queue/queue.ts";
import type { Outcome, TaskRun } from "../handler.ts";
import { NotReadyError } from "../not-ready.ts";
import { ParamsError } from "../params-error.ts";
import { subTaskId } from "./sub-task-id.ts";

/** A task's parameters with the fields that gave them, cut to the grid of its model whatever engine runs: graphs are planned alike everywhere. */
export function givenOf({ type, task, values }: Pick<TaskRun, "type" | "task" | "values">): Given {
  const resolution = resolveParameters(type, task.params);
  if (!resolution.ok) {
    throw problemsError(resolution.problems);
  }
  const { seed } = resolution.values;
  return seed === undefined ? resolution.values : { ...resolution.values, seed: { ...seed, value: values["seed"] } };
}

export function problemsError(problems: readonly Problem[]): ParamsError {
  return new ParamsError(problems.map(({ field, what }) => `${field}: ${what}`).join("; "));
}

export function parentOf({ task }: Pick<TaskRun, "task">): GraphParent {
  return {
    taskId: task.taskId,
    projectId: task.projectId,
    params: isObject(task.params) ? task.params : {},
    idOf: (kind, index) => subTaskId(task.taskId, kind, index),
  };
}

export function delegated({ subTasks, resultTaskId }: TaskGraph): Outcome {
  return { kind: "delegated", subTasks, resultTaskId };
}

/**
 * Where the result of another task of the graph is.
 * @throws NotReadyError when it is not complete yet; Error when it is not there or ended otherwise
 */
export function locationOf(output: TaskOutput | null, which: string): string {
  if (output === null) {
    throw new Error(`${which} is not there; nothing can be made without its result`);
  }
  const { taskId, status, outputLocation } = output;
  if (status === "Queued" || status === "In Progress") {
    throw new NotReadyError(`${which} (task ${taskId}) is ${status}`);
  }
  if (status !== "Complete" || outputLocation === null) {
    throw new Error(`${which} (task ${taskId}) is ${status}${status === "Complete" ? ", without a result" : ""}`);
  }
  return outputLocation;
}
