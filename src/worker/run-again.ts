import { setTimeout as delay } from "node:timers/promises";
import { UnexpectedError, type Worker } from "@temporalio/worker";
import type { Logger } from "pino";

const PAUSE_MS = 1_000;

/**
 * Runs a Temporal worker until this process is to stop. All workflows of a process share a sandbox in a thread; a
 * rejection in one of them that belongs to no run ends that thread. Then a new Temporal worker begins, and its workflows
 * are replayed.
 * @throws what ends a Temporal worker otherwise.
 */
export async function runAgain(create: () => Promise<Worker>, logger: Logger, stopping: AbortSignal): Promise<void> {
  for (;;) {
    const temporalWorker = await create();
    try {
      await temporalWorker.run();
      return;
    } catch (error) {
      if (stopping.aborted || !(error instanceof UnexpectedError)) {
        throw error;
      }
      logger.error({ err: error }, "the sandbox of the workflows has died; a new one begins");
    }
    await delay(PAUSE_MS);
  }
}
