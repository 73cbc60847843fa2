import { delimiter, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { table } from "../config/variables.ts";
import { OwnTypesError, readOwnTypes, tableWith, type TypeTable } from "../task-types/own-types.ts";
import type { Context } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";

/** The known task types, and those of the modules that the environment names. @throws ClientError naming a module that is wrong */
export async function taskTypeTable({ env }: Pick<Context, "env">): Promise<TypeTable> {
  const { name } = table.worker.taskTypeModules;
  try {
    const paths = (env[name] ?? "").split(delimiter).filter((path) => path.trim() !== "");
    const own = await Promise.all(paths.map(async (path) => readOwnTypes(await load(path), path)));
    return tableWith(own.flat().map(({ type }) => type));
  } catch (error) {
    if (error instanceof OwnTypesError) {
      throw new ClientError(
        EXIT.usage,
        `${name}: ${error.message}`,
        "docs/own-task-types.md says what a module looks like.",
      );
    }
    throw error;
  }
}

async function load(path: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    throw new OwnTypesError(`${path}: it cannot be loaded: ${String(error)}`, { cause: error });
  }
}
