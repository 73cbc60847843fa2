import { findTaskType } from "../../task-types/task-types.ts";
import type { FileStore } from "./file-store.ts";
import type { Queue } from "./queue.ts";
import { openLocalDatabase } from "../../task-file/database.ts";
import { createLocalFileStore } from "./local-file-store.ts";
import { createSqliteQueue } from "./sqlite-queue.ts";
import { registerWorker, removeWorker } from "../../task-file/workers.ts";

/**
 * Opens a file of tasks for one worker, whose id no other living process may have.
 * @param types the names of the types that it can do; tasks under an alias of them count too
 * @throws LocalDatabaseError
 */
export function openLocalQueue(
  file: string,
  workerId: string,
  types: readonly string[],
): { readonly queue: Queue; readonly fileStore: FileStore; close(): void } {
  const database = openLocalDatabase(file);
  registerWorker(database, workerId, Date.now());
  const names = types.flatMap((name) => [name, ...(findTaskType(name)?.aliases ?? [])]);
  return {
    queue: createSqliteQueue({ database, workerId, types: names }),
    fileStore: createLocalFileStore(database),
    close() {
      removeWorker(database, workerId);
      database.close();
    },
  };
}
