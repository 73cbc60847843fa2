import type { Arrival } from "./arrivals.ts";
import type { Outcome } from "./outcome.ts";
import { SimulatedPool } from "./simulated-pool.ts";
import type { Circumstances, Sizing } from "./world.ts";

const QUIET_LOOK_MS = 60_000;
/** So long after the last event it looks no oftener than in a quiet pool. */
const QUIET_AFTER_MS = 3_600_000;
/** If nothing was served for this long and the longest task, a limit keeps the pool from serving what waits. */
const GIVE_UP_MS = 7 * 24 * 3_600_000;
/** A pool that keeps more than its minimum for this long after the last task is not waited for. */
const LAST_LOOK_MS = 6 * 3_600_000;

/**
 * Lives through the arrivals in virtual time. It looks when something happened, and else from time to time while a worker
 * rests or a task waits.
 * @param arrivals in the order in which they came.
 * @param onProgress is told the served share from time to time.
 */
export function simulate(
  sizing: Sizing,
  arrivals: readonly Arrival[],
  circumstances: Circumstances,
  onProgress: (share: number) => void = () => undefined,
): Outcome {
  const pool = new SimulatedPool(sizing, arrivals, circumstances);
  const { watchIntervalMs, toMs = 0 } = circumstances;
  let nextLookMs = pool.nowMs;
  let toldAt = 0;
  for (;;) {
    const nextMs = Math.min(pool.nextEventMs(), nextLookMs, pool.isOver() && pool.nowMs < toMs ? toMs : Infinity);
    if (nextMs === Infinity || isEnd(pool, sizing, toMs)) {
      break;
    }
    pool.advanceTo(nextMs);
    if (pool.happen()) {
      nextLookMs = Math.min(nextLookMs, seenAt(nextMs, pool.fromMs, watchIntervalMs));
    }
    if (nextMs >= nextLookMs) {
      pool.obey(sizing.decide(pool.observe()));
      nextLookMs = nextMs + pauseMs(pool, sizing);
    }
    if (pool.served - toldAt >= 1_000) {
      toldAt = pool.served;
      onProgress(pool.served / arrivals.length);
    }
  }
  return pool.outcome();
}

function isEnd(pool: SimulatedPool, { keeps }: Sizing, toMs: number): boolean {
  if (!pool.isOver()) {
    return pool.hasAllArrived() && pool.nowMs - Math.max(pool.servedMs, pool.arrivedMs) > GIVE_UP_MS + pool.longestMs;
  }
  return pool.nowMs >= toMs && (pool.size <= keeps || pool.nowMs - Math.max(toMs, pool.servedMs) > LAST_LOOK_MS);
}

/** The first probe of the database after something happened. */
function seenAt(nowMs: number, fromMs: number, intervalMs: number): number {
  return intervalMs === 0 ? nowMs : fromMs + (Math.floor((nowMs - fromMs) / intervalMs) + 1) * intervalMs;
}

function pauseMs(pool: SimulatedPool, { mindsTime, lookMs }: Sizing): number {
  const isQuiet = pool.nowMs - pool.eventMs > QUIET_AFTER_MS;
  if (!isQuiet && (pool.resting > 0 || pool.waiting > 0 || (mindsTime && pool.size > 0))) {
    return lookMs;
  }
  return pool.size > 0 || pool.waiting > 0 || mindsTime ? QUIET_LOOK_MS : Infinity;
}
