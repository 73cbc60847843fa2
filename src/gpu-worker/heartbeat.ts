import type { Logger } from "pino";
import { sleep } from "./abort.ts";
import { type Orders, stopRefused } from "./orders.ts";
import { isRefused, isTransient } from "./queue/queue-error.ts";
import type { Queue } from "./queue/queue.ts";
import { backOffMs } from "./retry.ts";
import type { Vram } from "./vram.ts";

export interface Heartbeat {
  /** Resolves when the first beat was answered. Before that the worker's row is not active and claims get nothing. */
  readonly firstAnswer: Promise<void>;
  stop(): void;
}

export interface HeartbeatDeps {
  readonly queue: Queue;
  readonly orders: Orders;
  readonly readVram: () => Promise<Vram>;
  readonly intervalMs: number;
  /** Called after each answered beat; the next beat does not wait for it. */
  readonly sendLogs: () => Promise<void>;
  readonly logger: Logger;
}

/**
 * Sends a heartbeat at once and then every interval, independent of the tasks; sooner while beats fail. Each answer
 * holds the row's status: by it the worker learns that it is drained, or that its row has ended.
 */
export function startHeartbeat({ queue, orders, readVram, intervalMs, sendLogs, logger }: HeartbeatDeps): Heartbeat {
  const stopped = new AbortController();
  let answered: () => void = () => undefined;
  const firstAnswer = new Promise<void>((resolve) => {
    answered = resolve;
  });

  async function beat(): Promise<boolean> {
    try {
      obey(await queue.heartbeat(await readVram()));
      answered();
      void sendLogs();
      return true;
    } catch (error) {
      if (isRefused(error)) {
        stopRefused(orders, error);
      } else if (!isTransient(error)) {
        logger.error({ err: error }, "a heartbeat failed");
      }
      return false;
    }
  }

  function obey(status: string): void {
    if (status === "terminating") {
      orders.leave("the worker is being drained");
    }
    if (status === "terminated" || status === "error") {
      orders.stop("abandon", `the worker's status is ${status}`);
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopped.signal.aborted) {
      const begunMs = Date.now();
      failures = (await beat()) ? 0 : failures + 1;
      const untilNextMs = begunMs + intervalMs - Date.now();
      await sleep(
        failures === 0 ? Math.max(0, untilNextMs) : Math.min(intervalMs, backOffMs(failures)),
        stopped.signal,
      );
    }
  }

  void run();
  return { firstAnswer, stop: () => stopped.abort() };
}
