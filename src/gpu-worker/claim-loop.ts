import type { Logger } from "pino";
import { orAbort, sleep } from "./abort.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { createIdlePace } from "./idle-pace.ts";
import { type Orders, stopRefused } from "./orders.ts";
import { isRefused, isTransient } from "./queue/queue-error.ts";
import type { Claim, Queue } from "./queue/queue.ts";
import { backOffMs, withRetry } from "./retry.ts";
import { type TaskDeps, runTask } from "./run-task.ts";
import type { Vram } from "./vram.ts";

export interface ClaimLoopDeps extends TaskDeps {
  readonly readVram: () => Promise<Vram>;
  readonly pollMs: number;
  readonly heartbeatMs: number;
  readonly sendLogs: () => Promise<void>;
  /** Says what this worker can do; left out: the queue knows. @throws QueueError */
  readonly stateTypes?: () => Promise<void>;
}

/**
 * Sends heartbeats, claims and runs tasks one at a time until it is ordered to leave.
 * @returns the process's exit code.
 */
export async function runClaimLoop(deps: ClaimLoopDeps): Promise<number> {
  const { queue, orders, readVram } = deps;
  const logger = deps.logger.child({ logger: "headless" });
  const heartbeat = startHeartbeat({
    queue,
    orders,
    readVram,
    intervalMs: deps.heartbeatMs,
    sendLogs: deps.sendLogs,
    logger,
  });
  await orAbort(heartbeat.firstAnswer, orders.leaving).catch(() => undefined);
  await stateTypes(deps);

  const pace = createIdlePace(deps.pollMs);
  let failures = 0;
  let answer: Claim | null = null;
  // A task that was claimed before an order to leave is still worked on; after an order to stop, runTask gives it back.
  while (answer?.task || !orders.leaving.aborted) {
    const claim: Claim | null = answer ?? (await tryClaim(queue, orders, logger));
    answer = null;
    if (claim?.task) {
      pace.taskBegins();
      const { end, claim: next } = await runTask(deps, claim.task);
      pace.taskEnds();
      answer = next;
      failures = end === "unsettled" ? failures + 1 : 0;
      // The next task may be waiting already: claim it without a pause.
      if (failures === 0) {
        continue;
      }
    } else if (claim) {
      failures = 0;
      leaveUnlessActive(claim.workerStatus, orders);
    } else {
      failures += 1;
    }
    const idleMs = pace.delayMs();
    await (failures === 0
      ? untilNext(queue, idleMs, orders.leaving)
      : sleep(Math.max(idleMs, backOffMs(failures)), orders.leaving));
  }
  heartbeat.stop();
  return orders.exitCode();
}

async function untilNext(queue: Queue, ms: number, leaving: AbortSignal): Promise<void> {
  await (queue.untilChanged?.(ms, leaving) ?? sleep(ms, leaving));
}

/** Before the first claim, which could give a task that this worker would have to fail. */
async function stateTypes({ stateTypes: state, orders, logger }: ClaimLoopDeps): Promise<void> {
  if (state === undefined || orders.leaving.aborted) {
    return;
  }
  try {
    await withRetry(state, { signal: orders.leaving });
  } catch (error) {
    if (isRefused(error)) {
      stopRefused(orders, error);
    } else if (!orders.leaving.aborted) {
      logger.error({ err: error }, "the database does not take what this worker can do: it may claim any task");
    }
  }
}

/** An order to leave does not abort a claim: its answer may be a task, and that task would be left without a worker. */
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
