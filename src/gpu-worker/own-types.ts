import { pathToFileURL } from "node:url";
import type { TaskType } from "../task-types/task-type.ts";
import { type OwnType, OwnTypesError, readOwnTypes, tableWith, type TypeTable } from "../task-types/own-types.ts";
import type { EngineJob } from "./engines/engine.ts";
import { SettingsError } from "./settings.ts";
import type { Handler, TypeHandlers } from "./tasks/handler.ts";
import { ParamsError } from "./tasks/params-error.ts";

export interface OwnTypes {
  /** The known types and the own ones. */
  readonly table: TypeTable;
  readonly handlers: TypeHandlers;
}

/** Loads the modules of own task types. @throws SettingsError naming the variable, the module and what is wrong */
export async function loadOwnTypes(paths: readonly string[]): Promise<OwnTypes> {
  try {
    const own = (await Promise.all(paths.map(loadModule))).flat();
    const table = tableWith(own.map(({ type }): TaskType => type));
    return { table, handlers: Object.fromEntries(own.map(({ type, ...code }) => [type.name, handlerOf(code)])) };
  } catch (error) {
    throw error instanceof OwnTypesError ? new SettingsError(`TASK_TYPE_MODULES: ${error.message}`) : error;
  }
}

async function loadModule(path: string): Promise<OwnType[]> {
  const exported: unknown = await import(pathToFileURL(path).href).catch((error: unknown) => {
    throw new OwnTypesError(`${path}: it cannot be loaded: ${String(error)}`, { cause: error });
  });
  return readOwnTypes(exported, path);
}

function handlerOf({ handle, jobs }: Omit<OwnType, "type">): TypeHandlers[string] {
  const call: Handler = async (run) => {
    try {
      return await (handle as Handler)(run);
    } catch (error) {
      // A module imports nothing of ours, so it names its error.
      throw error instanceof Error && error.name === "ParamsError" ? new ParamsError(error.message) : error;
    }
  };
  return { handle: call, jobs: jobs as readonly EngineJob[] };
}
