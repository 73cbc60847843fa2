export interface Progress {
  /** Reports, unless a report is under way or was sent less than the interval ago. `fraction` from 0 to 1. */
  move(fraction: number, message: string): void;
  /** Reports in any case, after the reports that are under way. */
  stage(fraction: number, message: string): void;
  close(): void;
}

const INTERVAL_MS = 2_000;

/**
 * Reports a task's progress while the work goes on; `send` must handle its own errors. It sends one report at a time,
 * so that they arrive in order.
 */
export function createProgress(
  send: (fraction: number, message: string) => Promise<void>,
  intervalMs = INTERVAL_MS,
  now: () => number = Date.now,
): Progress {
  let last: Promise<void> = Promise.resolve();
  let underWay = 0;
  let lastSentMs = Number.NEGATIVE_INFINITY;
  let closed = false;

  function enqueue(fraction: number, message: string): void {
    underWay += 1;
    lastSentMs = now();
    last = last
      .then(() => (closed ? undefined : send(fraction, message)))
      .finally(() => {
        underWay -= 1;
      });
  }

  return {
    move(fraction, message) {
      if (underWay === 0 && now() - lastSentMs >= intervalMs) {
        enqueue(fraction, message);
      }
    },
    stage: enqueue,
    close() {
      closed = true;
    },
  };
}
