import type { PodSettings } from "../../contract/pool-settings.ts";
import type { Doer } from "../../task-types/task-type.ts";
import { TASK_TYPES } from "../../task-types/task-types.ts";

type TypeSettings = Pick<
  PodSettings,
  "workerProfile" | "workerTaskTypes" | "workerStartCommand" | "workerEntrypoint" | "headlessWan2gpCommit"
>;

/** In WORKER_TASK_TYPES, the name of a program stands for the types that it does. */
export const PROGRAMS: readonly Doer[] = ["gpu-worker", "headless-wan2gp", "headless-wan2gp-2025-08"];
/** The commit of Headless-Wan2GP that was read for the list of August 2025. */
const COMMIT_OF_2025_08 = /^1093e7c/;

/**
 * The types of the tasks that a worker of this profile can do, as far as that is known before it has said so itself.
 * @returns null: nothing is known, so it may claim any.
 */
export function taskTypesOf(settings: TypeSettings): readonly string[] | null {
  const { workerProfile, workerTaskTypes, workerStartCommand, workerEntrypoint, headlessWan2gpCommit } = settings;
  if (workerTaskTypes !== undefined) {
    return namedTypes(workerTaskTypes);
  }
  if (workerProfile === "custom" || workerStartCommand || workerEntrypoint.length > 0) {
    return null;
  }
  const isOld = workerProfile === "headless-wan2gp" && COMMIT_OF_2025_08.test(headlessWan2gpCommit);
  return typesOf(isOld ? "headless-wan2gp-2025-08" : workerProfile);
}

/** @param names of types, aliases and programs. @returns null: `any` is among them */
export function namedTypes(names: readonly string[]): readonly string[] | null {
  if (names.includes("any")) {
    return null;
  }
  return [...new Set(names.flatMap((name) => (isProgram(name) ? typesOf(name) : [name])))];
}

function typesOf(program: Doer): string[] {
  return TASK_TYPES.filter(({ doers }) => doers.includes(program)).map(({ name }) => name);
}

function isProgram(name: string): name is Doer {
  return PROGRAMS.some((program) => program === name);
}
