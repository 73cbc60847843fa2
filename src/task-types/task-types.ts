import { DIRECT_TYPES } from "./direct-types.ts";
import { GRAPH_TYPES } from "./graph-types.ts";
import type { TaskType } from "./task-type.ts";
import { UTILITY_TYPES } from "./utility-types.ts";

/** Every task type that we know. A database may have more. */
export const TASK_TYPES: readonly TaskType[] = [...DIRECT_TYPES, ...GRAPH_TYPES, ...UTILITY_TYPES];

const byName: ReadonlyMap<string, TaskType> = new Map(
  TASK_TYPES.flatMap((type) => [type.name, ...type.aliases].map((name) => [name, type] as const)),
);

/** @param name its name or an alias */
export function findTaskType(name: string): TaskType | undefined {
  return byName.get(name);
}
