import type { Logger } from "pino";

const PATIENCE_MS = 1_000;
/** Shorter than the 40 s that our files give a process to end. */
const LONGEST_STOP_MS = 35_000;

/** Ends the process, which has nothing left to do, although a request that nobody waits for any more may still be open. */
export function endSoon(): void {
  setTimeout(() => process.exit(), PATIENCE_MS).unref();
}

/**
 * Ends the process 35 s after it was told to stop. Calls to a service that does not answer would take longer, and its host
 * would kill it. What they were about is in the database and in Temporal, and another process goes on with it.
 */
export function endInTime(stopping: AbortSignal, logger: Logger): void {
  const end = () => {
    logger.warn("a service does not answer, so this process ends before all its calls have");
    process.exit();
  };
  stopping.addEventListener("abort", () => void setTimeout(end, LONGEST_STOP_MS).unref(), { once: true });
}
