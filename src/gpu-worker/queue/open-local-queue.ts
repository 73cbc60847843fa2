import type { TaskType } from "../../task-types/task-type.ts";
import type { FileStore } from "./file-store.ts";
import type { Queue } from "./queue.ts";
import { openLocalDatabase } from "../../task-file/database.ts";
import { createLocalFileStore } from "./local-file-store.ts";
import { createSqliteQueue } from "./sqlite-queue.ts";
import { registerWorker, removeWorker } from "../../task-file/workers.ts";

/**
 * Opens a file of tasks for one worker, whose id no other living process may have.
 * @param types those that it can do; tasks under an alias of them count too
 * @param stuckTimeoutSec the limit of types that have none
 * @throws LocalDatabaseError
 */
export function openLocalQueue(
  file: string,
  workerId: string,
  types: readonly TaskType[],
  stuckTimeoutSec: number,
): { readonly queue: Queue; readonly fileStore: FileStore; close(): void } {
  const database = openLocalDatabase(file);
  registerWorker(database, workerId, Date.now());
  const byName = new Map(types.flatMap((type) => [type.name, ...type.aliases].map((name) => [name, type])));
  return {
    queue: createSqliteQueue({
      database,
      workerId,
      types: [...byName.keys()],
      stuckAfterSec: (name) => byName.get(name)?.stuckTimeoutSec ?? stuckTimeoutSec,
    }),
    fileStore: createLocalFileStore(database),
    close() {
      removeWorker(database, workerId);
      database.close();
    },
  };
}
