import { shortJson } from "../../supabase/functions/_shared/text.ts";
import type { TaskType } from "../task-types/task-type.ts";
import { findTaskType } from "../task-types/task-types.ts";
import type { Engine } from "./engines/engine.ts";
import { DIRECT_HANDLERS } from "./tasks/direct.ts";
import { GRAPH_HANDLERS } from "./tasks/graph-handlers.ts";
import type { TypeHandler, TypeHandlers } from "./tasks/handler.ts";
import { ParamsError } from "./tasks/params-error.ts";
import { UTILITY_HANDLERS } from "./tasks/utility-handlers.ts";

const SHOWN_CHARS = 80;

export interface Route {
  readonly type: TaskType;
  readonly handle: TypeHandler["handle"];
}

/** Finds how the tasks of a type are done. */
export interface Router {
  /** The names of the types that this worker can do. */
  readonly types: readonly string[];
  /** @param name the stored type of a task, or an alias. @throws ParamsError naming the type and what this worker can do */
  find(name: string): Route;
}

/** Every type that programs of ours do, given an engine that can; those that a service does depend on the settings. */
export const HANDLERS: TypeHandlers = {
  ...DIRECT_HANDLERS,
  ...UTILITY_HANDLERS,
  ...GRAPH_HANDLERS,
};

/** The types that a worker states, of those that it can do. @param only names or aliases; null: all */
export function allowedTypes(
  { types }: Pick<Router, "types">,
  only: readonly string[] | null,
  find: (name: string) => TaskType | undefined = findTaskType,
): readonly string[] {
  const allowed = only && new Set(only.map((name) => find(name)?.name ?? name));
  return types.filter((name) => allowed?.has(name) ?? true);
}

/** @param handlers those of own types may be added to `HANDLERS`. @param find the table of types, own ones included */
export function createRouter(
  engine: Pick<Engine, "can">,
  handlers: TypeHandlers = HANDLERS,
  find: (name: string) => TaskType | undefined = findTaskType,
): Router {
  const able = new Map(Object.entries(handlers).filter(([, { jobs }]) => jobs.every((job) => engine.can(job))));
  const types = [...able.keys()];
  return {
    types,
    find(name) {
      const type = find(name);
      const handler = type && able.get(type.name);
      if (type === undefined || handler === undefined) {
        const names = types.flatMap((each) => [each, ...(find(each)?.aliases ?? [])]);
        const shown = shortJson(name, SHOWN_CHARS);
        throw new ParamsError(`task_type: ${shown} is not supported by this worker; supported: ${names.join(", ")}`);
      }
      return { type, handle: handler.handle };
    },
  };
}
