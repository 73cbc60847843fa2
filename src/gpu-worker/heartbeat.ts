import type { Logger } from "pino";
import { sleep } from "./abort.ts";
import { type Orders, stopRefused } from "./orders.ts";
import { isRefused, isTransient } from "./queue-error.ts";
import type { Queue } from "./queue.ts";
import { backOffMs } from "./retry.ts";
import type { Vram } from "./vram.ts";

export interface Heartbeat {
  /** Resolves when the first beat was answered: from then on the worker's row is active and claims make sense. */
  firstAnswer: Promise<void>;
  stop(): void;
}

export interface HeartbeatDeps {
  queue: Queue;
  orders: Orders;
  readVram: () => Promise<Vram>;
  intervalMs: number;
  /** Goes out after each beat that was answered, and never delays the next one. */
  sendLogs: () => Promise<void>;
  logger: Logger;
}

/**
 * Beats at once and then every interval, whatever the tasks do; sooner while beats fail. The answers are how the
 * worker learns that it is being drained or has been written off.
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
