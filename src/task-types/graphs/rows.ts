import { isObject, own } from "../levels.ts";
import type { Given } from "../resolved.ts";
import { valueOf } from "./given.ts";

/** A sub-task that an orchestrator task writes. */
export interface SubTaskRow {
  readonly id: string;
  readonly taskType: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** The sub-task that has to complete first. */
  readonly dependantOn: string | null;
  /** It waits for all others; then it depends on none. */
  readonly afterSiblings?: true;
}

export interface TaskGraph {
  readonly subTasks: readonly SubTaskRow[];
  /** The sub-task whose output becomes that of the orchestrator task. */
  readonly resultTaskId: string;
}

/** The orchestrator task that a graph is written for. */
export interface GraphParent {
  readonly taskId: string;
  readonly projectId: string | null;
  readonly params: Readonly<Record<string, unknown>>;
  /** The id of a sub-task, the same one in every run. @param kind of the same kind no two have the same index */
  readonly idOf: (kind: string, index: number) => string;
}

const DETAILS = "orchestrator_details";

/** The parameters that the sub-tasks of a run share: the orchestrator task's own, as they were given. */
export function detailsOf({ params }: GraphParent): Readonly<Record<string, unknown>> {
  const details = own(params, DETAILS);
  return isObject(details) ? details : params;
}

/** What the tasks of a run know of their orchestrator task. */
export function referenceTo(given: Given, parent: GraphParent): Record<string, unknown> {
  return {
    orchestrator_task_id_ref: parent.taskId,
    orchestrator_run_id: valueOf<string>(given, "run_id") ?? parent.taskId,
    ...(parent.projectId !== null && { project_id: parent.projectId }),
  };
}

/**
 * Values of the orchestrator task that stand beside its details, and so count more than those. A sub-task gets them beside the details too.
 * @param names those that its type has as well
 */
export function besideDetails(given: Given, parent: GraphParent, names: ReadonlySet<string>): Record<string, unknown> {
  if (detailsOf(parent) === parent.params) {
    return {};
  }
  const isBeside = (field: string) => !field.startsWith(`params.${DETAILS}.`);
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, { value, from }]) =>
      names.has(name) && from.length > 0 && from.every(isBeside) ? [[name, value]] : [],
    ),
  );
}

/** Only what has a value. */
export function present(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
}
