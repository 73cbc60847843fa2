import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { openLocalDatabase } from "../../task-file/database.ts";
import { type LocalDatabase } from "../../task-file/local-database.ts";
import type { Context } from "../context.ts";
import { ClientError, EXIT } from "../errors.ts";
import type { LocalOptions } from "../options.ts";

/** The file of tasks that a command is to use; null: the database at SUPABASE_URL. @throws ClientError */
export function localFile({ env }: Pick<Context, "env">, { dbType, dbFile }: LocalOptions): string | null {
  if ((dbType ?? env["DB_TYPE"]) === "sqlite") {
    return resolve(dbFile ?? env["SQLITE_DB_PATH_ENV"] ?? "tasks.db");
  }
  if (dbFile !== undefined) {
    throw new ClientError(EXIT.usage, "--db-file names a file of tasks, which only --db-type sqlite uses");
  }
  return null;
}

/**
 * Runs `work` with the file of tasks, which is closed at the end.
 * @param mayMake whether a file that is missing is made
 * @throws ClientError
 */
export async function withLocalFile<T>(
  file: string,
  mayMake: boolean,
  work: (database: LocalDatabase) => T | Promise<T>,
): Promise<T> {
  if (!mayMake && !existsSync(file)) {
    throw new ClientError(
      EXIT.notFound,
      `there is no file of tasks ${file}`,
      "gpu-pool submit --db-type sqlite makes it; --db-file names another.",
    );
  }
  const database = openLocalDatabase(file);
  try {
    return await work(database);
  } finally {
    database.close();
  }
}
