import { existsSync, rmSync } from "node:fs";
import { openLocalDatabase } from "./database.ts";
import { LocalDatabaseError } from "./local-database.ts";
import { livingWorkers } from "./workers.ts";

/** Deletes a file of tasks, if it is there. @throws LocalDatabaseError when a worker uses it, or it is no such file */
export function deleteTaskFile(file: string): void {
  if (!existsSync(file)) {
    return;
  }
  const database = openLocalDatabase(file);
  const [living] = livingWorkers(database, Date.now());
  database.close();
  if (living !== undefined) {
    throw new LocalDatabaseError(
      file,
      `it is not deleted, because worker ${living} uses it; end that worker first`,
      false,
    );
  }
  for (const suffix of ["", "-wal", "-shm"]) {
    rmSync(`${file}${suffix}`, { force: true });
  }
}
