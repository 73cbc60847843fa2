import type { Logger } from "pino";
import { orAbort, sleep } from "./abort.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { type Orders, stopRefused } from "./orders.ts";
import { isRefused, isTransient } from "./queue-error.ts";
import type { Claim, Queue } from "./queue.ts";
import { backOffMs } from "./retry.ts";
import { type TaskDeps, runTask } from "./run-task.ts";
import type { Vram } from "./vram.ts";

export interface WorkerDeps extends TaskDeps {
  readVram: () => Promise<Vram>;
  pollMs: number;
  heartbeatMs: number;
  sendLogs: () => Promise<void>;
}

/**
 * Beats, claims and runs tasks one at a time until there is an order to leave.
 * @returns the process's exit code.
 */
export async function runWorker(deps: WorkerDeps): Promise<number> {
  const { queue, orders, logger, readVram, pollMs } = deps;
  const heartbeat = startHeartbeat({
    queue,
    orders,
    readVram,
    intervalMs: deps.heartbeatMs,
    sendLogs: deps.sendLogs,
    logger,
  });
  await orAbort(heartbeat.firstAnswer, orders.leaving).catch(() => undefined);

  let troubles = 0;
  while (!orders.leaving.aborted) {
    const claim = await tryClaim(queue, orders, logger);
    if (claim?.task) {
      const end = await runTask(deps, claim.task);
      troubles = end === "unsettled" ? troubles + 1 : 0;
      // A settled task is followed by the next claim at once: there may be a queue.
      if (troubles === 0) {
        continue;
      }
    } else if (claim) {
      troubles = 0;
      leaveUnlessActive(claim.workerStatus, orders);
    } else {
      troubles += 1;
    }
    const idleMs = pollMs * (0.9 + Math.random() * 0.2);
    await sleep(troubles === 0 ? idleMs : Math.max(idleMs, backOffMs(troubles)), orders.leaving);
  }
  heartbeat.stop();
  return orders.exitCode();
}

/** A claim is never cut short: the answer may be a task, which then has to be given back. */
async function tryClaim(queue: Queue, orders: Orders, logger: Logger): Promise<Claim | null> {
  try {
    return await queue.claim();
  } catch (error) {
    if (isRefused(error)) {
      stopRefused(orders, error);
    } else if (!isTransient(error)) {
      logger.error({ err: error }, "a claim failed");
    }
    return null;
  }
}

function leaveUnlessActive(status: string, orders: Orders): void {
  if (status !== "active") {
    orders.leave(`the worker's status is ${status}`);
  }
}
