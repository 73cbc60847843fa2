import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

/**
 * The idle workers that a pool with too many may drain, the longest idle first: WORKER_GRACE_PERIOD_SEC has passed since
 * each became ready, and `restSec` since it last had a task.
 */
export function drainableIdle(
  settings: PolicySettings,
  restSec: number,
  { nowMs }: Observation,
  idle: readonly ObservedWorker[],
): ObservedWorker[] {
  return longestIdleFirst(idle)
    .filter((worker) => nowMs - (worker.readyMs ?? nowMs) >= settings.workerGracePeriodSec * 1000)
    .filter((worker) => nowMs - idleSinceMs(worker) >= restSec * 1000);
}

/** Whether a worker had a task within `restSec`. */
export function wasJustBusy(restSec: number, { nowMs }: Observation, { releasedMs }: ObservedWorker): boolean {
  return releasedMs !== null && nowMs - releasedMs < restSec * 1000;
}

/** Idle time counts from when the worker became ready, or from when its last task was released. */
export function idleSinceMs(worker: ObservedWorker): number {
  return Math.max(worker.readyMs ?? worker.createdMs, worker.releasedMs ?? 0);
}

/** The pool's own workers among these, the longest idle first. */
export function longestIdleFirst(idle: readonly ObservedWorker[]): ObservedWorker[] {
  return idle.filter(({ origin }) => origin === "pool").sort((a, b) => idleSinceMs(a) - idleSinceMs(b));
}
