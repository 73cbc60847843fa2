import type { TaskType } from "./task-type.ts";

/** One object of a task's `params` in which values are looked for. */
export interface Level {
  /** Such as `params` or `params.orchestrator_details`. */
  readonly path: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const OF_ORCHESTRATOR: readonly (readonly string[])[] = [
  ["orchestrator_details"],
  ["full_orchestrator_payload"],
  ["dp_orchestrator_payload", "original_params"],
  ["params"],
];
const OF_ONE_SEGMENT = ["individual_segment_params"];

/** Fields of `params` that hold other parameters. */
export const HOLDERS: ReadonlySet<string> = new Set([...OF_ORCHESTRATOR, OF_ONE_SEGMENT].map(([first = ""]) => first));

/** Fields that say where a task belongs. They are no parameters, and every task may have them. */
export const REFERENCES: ReadonlySet<string> = new Set([
  "orchestrator_task_id_ref",
  "orchestrator_run_id",
  "project_id",
  "parent_generation_id",
]);

/** The objects in which a type's values are looked for: a value of an earlier one counts. */
export function levelsOf(type: TaskType, params: Readonly<Record<string, unknown>>): Level[] {
  const paths = [...(type.kind === "segment" ? [OF_ONE_SEGMENT] : []), [], ...OF_ORCHESTRATOR];
  return paths.flatMap((names) => {
    const found = names.reduce<unknown>((value, name) => (isObject(value) ? own(value, name) : undefined), params);
    return isObject(found) ? [{ path: ["params", ...names].join("."), fields: found }] : [];
  });
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Null counts as not given. */
export function own(fields: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(fields, name) ? (fields[name] ?? undefined) : undefined;
}
