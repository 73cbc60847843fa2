import { HOLDERS, levelsOf, own, REFERENCES } from "./levels.ts";
import type { TaskType } from "./task-type.ts";
import { TASK_TYPES } from "./task-types.ts";

/** The fields of `params` that are read as no parameter and hold none. @param kept those that are no parameter of the type */
export function unknownFields(kept: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(kept).filter((name) => !isKnown(name) && own(kept, name) !== undefined);
}

/**
 * Every field of a task that has no effect by its name, with the object that holds it, such as `orchestrator_details.colour`. The tasks
 * of a graph are of several types and share fields: there, only what is a parameter of no type counts.
 */
export function fieldsWithoutMeaning(type: TaskType, params: Readonly<Record<string, unknown>>): string[] {
  const ofType = new Set(namesOf(type));
  const ofAny = new Set([...TASK_TYPES, type].flatMap(namesOf));
  const isShared = own(params, "orchestrator_task_id_ref") !== undefined;
  return levelsOf(type, params).flatMap(({ path, fields }) => {
    const isTop = path === "params";
    const names = isTop && !isShared ? ofType : ofAny;
    return Object.keys(fields)
      .filter((name) => !names.has(name) && !isKnown(name) && own(fields, name) !== undefined)
      .map((name) => (isTop ? name : `${path.replace(/^params\./, "")}.${name}`));
  });
}

function namesOf({ parameters }: TaskType): string[] {
  const hasSize = parameters.some(({ kind }) => kind.snaps === "size");
  const listed = parameters.flatMap(({ name, aliases, perSegment }) => [name, ...aliases, perSegment ?? name]);
  return [...listed, ...(hasSize ? ["width", "height"] : [])];
}

function isKnown(name: string): boolean {
  return HOLDERS.has(name) || REFERENCES.has(name);
}
