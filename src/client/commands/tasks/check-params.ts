import { holdsInfinity, storable, UnstorableError } from "../../../../supabase/functions/_shared/text.ts";
import { type Resolution, resolveParameters } from "../../../task-types/resolve.ts";
import type { TaskType } from "../../../task-types/task-type.ts";
import { findTaskType } from "../../../task-types/task-types.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { someOf, type TaskInput } from "./task-input.ts";

export interface CheckedTask {
  readonly task: TaskInput;
  /** How many of the tasks are this one. */
  readonly count: number;
  /** Null: the table does not have its type, so nothing is known of its parameters. */
  readonly known: { readonly type: TaskType; readonly resolution: Resolution & { readonly ok: true } } | null;
}

/** The types among these that the table does not have. */
export function unknownTypes(tasks: readonly TaskInput[], find = findTaskType): string[] {
  return [...new Set(tasks.map(({ task_type: type }) => type))].filter((type) => find(type) === undefined);
}

/**
 * Resolves each task's parameters, once where a task is given several times.
 * @param source where the tasks come from, such as a file's path; null: from flags
 * @param ownTypes the database's types; an alias has the name of its type, any other null
 * @param find the table of types, those of modules included
 * @throws ClientError naming the tasks and fields that are wrong
 */
export function checkTasks(
  tasks: readonly TaskInput[],
  source: string | null,
  ownTypes: ReadonlyMap<string, string | null>,
  find = findTaskType,
): CheckedTask[] {
  const counts = new Map<TaskInput, number>();
  for (const task of tasks) {
    counts.set(task, (counts.get(task) ?? 0) + 1);
  }
  const checked: CheckedTask[] = [];
  const problems: string[] = [];
  const wrongTypes = new Set<string>();
  for (const [index, [task, count]] of [...counts].entries()) {
    const where = counts.size > 1 ? `task ${index + 1}: ` : "";
    const unstorable = whyUnstorable(task);
    if (unstorable !== null) {
      problems.push(`${where}${unstorable}`);
      continue;
    }
    const type = find(task.task_type) ?? find(ownTypes.get(task.task_type) ?? "");
    const resolution = type && resolveParameters(type, task.params);
    if (type === undefined || resolution?.ok) {
      checked.push({ task, count, known: type && resolution?.ok ? { type, resolution } : null });
      continue;
    }
    problems.push(...(resolution?.problems ?? []).map(({ field, what }) => `${where}${field}: ${what}`));
    wrongTypes.add(type.name);
  }
  if (problems.length > 0) {
    const allowed = [...wrongTypes].map((name) => `gpu-pool types ${name}`).join(", ");
    throw new ClientError(
      EXIT.usage,
      `${source === null ? "" : `${source}: `}${someOf(problems)}`,
      `Nothing was submitted.${allowed === "" ? "" : ` What is allowed: ${allowed}`}`,
    );
  }
  return checked;
}

/** Null: the database can take its parameters. */
function whyUnstorable({ params }: TaskInput): string | null {
  try {
    storable({ params });
    const endless = Object.keys(params).find((name) => holdsInfinity(params[name]));
    return endless === undefined
      ? null
      : `params.${endless}: numbers up to ${Number.MAX_SAFE_INTEGER} are expected, or a text`;
  } catch (error) {
    if (error instanceof UnstorableError) {
      return error.message;
    }
    throw error;
  }
}

/** What to say about types that neither the table nor the database has; null: nothing. */
export function unknownTypeWarning(
  types: readonly string[],
  ownTypes: ReadonlyMap<string, string | null>,
): string | null {
  const strange = types.filter((type) => !ownTypes.has(type));
  return strange.length === 0
    ? null
    : `${someOf(strange, ", ")}: neither gpu-pool types nor the database's task_types has this type, so its parameters ` +
        "are not checked; only a worker that knows the name can do it";
}
