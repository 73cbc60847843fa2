import type { Logger } from "pino";
import { type QueueError, isTransient } from "./queue-error.ts";

export interface Outages {
  failed(error: QueueError): void;
  answered(operation: string): void;
}

const NETWORK = "network";

/** Logs once that an outage began and once that it is over, however many calls fail in between. */
export function createOutages(logger: Logger): Outages {
  const failedCalls = new Map<string, number>();

  function over(key: string): void {
    const calls = failedCalls.get(key);
    if (calls === undefined) {
      return;
    }
    failedCalls.delete(key);
    logger.info({ outage: key, failedCalls: calls }, "the outage is over");
  }

  return {
    failed(error) {
      if (!isTransient(error)) {
        return;
      }
      const key = error.kind === "unreachable" ? NETWORK : error.operation;
      const calls = failedCalls.get(key) ?? 0;
      failedCalls.set(key, calls + 1);
      if (calls === 0) {
        logger.warn({ outage: key }, `${error.message}; the worker keeps trying`);
      }
    },
    answered(operation) {
      over(NETWORK);
      over(operation);
    },
  };
}
