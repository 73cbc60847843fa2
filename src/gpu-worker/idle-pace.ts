/** A worker that has rested for this long, and whose last task was shorter, asks less often. */
const RESTED_MS = 15_000;
const RESTED_FACTOR = 3;

export interface IdlePace {
  taskBegins(): void;
  taskEnds(): void;
  /** How long to wait before the next claim, in ms. */
  delayMs(): number;
}

/**
 * How often an idle worker claims. If all asked equally often, short tasks would go to every worker in turn, none would rest
 * long enough to be drained, and the pool would stay too large. Long tasks leave each worker that is too many enough rest.
 */
export function createIdlePace(pollMs: number, now: () => number = () => performance.now()): IdlePace {
  let beganMs = now();
  let restingSinceMs = now();
  let lastTaskMs = Infinity;
  return {
    taskBegins() {
      beganMs = now();
    },
    taskEnds() {
      restingSinceMs = now();
      lastTaskMs = restingSinceMs - beganMs;
    },
    delayMs() {
      const isRested = now() - restingSinceMs >= RESTED_MS && lastTaskMs < RESTED_MS;
      return pollMs * (isRested ? RESTED_FACTOR : 1) * (0.9 + Math.random() * 0.2);
    },
  };
}
