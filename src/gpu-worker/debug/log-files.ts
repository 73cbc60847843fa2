import { join } from "node:path";
import type { DestinationStream } from "pino";

const FILES_KEPT = 14;

/** A log in files, or why there is none. */
export interface LogFiles {
  readonly stream: DestinationStream | null;
  readonly problem: string | null;
}

/**
 * Opens a log in files that roll: a new one each day and at 20 MB; the fourteen before it are kept. Never fails: a worker without
 * this log is better than none.
 * @param folder made where it is missing; null: none is wanted
 */
export async function tryLogFiles(folder: string | null): Promise<LogFiles> {
  if (folder === null) {
    return { stream: null, problem: null };
  }
  try {
    const { default: roll } = await import("pino-roll");
    const stream = await roll({
      file: join(folder, "gpu-worker"),
      extension: ".log",
      frequency: "daily",
      size: "20m",
      mkdir: true,
      limit: { count: FILES_KEPT, removeOtherLogFiles: true },
      // The process ends without waiting for its log.
      sync: true,
    });
    return { stream, problem: null };
  } catch (error) {
    return { stream: null, problem: `WORKER_LOG_DIR=${folder} has no log: ${(error as Error).message}` };
  }
}
