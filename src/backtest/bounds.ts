import { type Arrival, workSec } from "./arrivals.ts";

/** Lower bounds of the cost, in seconds of GPU time: nobody pays less, even with all arrivals known beforehand. */
export interface Bounds {
  /** All tasks on one worker that boots once. Nothing costs less, however long tasks wait. */
  readonly floorSec: number;
  /** The least for which no task waits at all. A policy that lets tasks wait may cost less. */
  readonly noWaitSec: number;
}

export function boundsOf(arrivals: readonly Arrival[], bootSec: number): Bounds {
  return {
    floorSec: arrivals.length === 0 ? 0 : workSec(arrivals) + bootSec,
    noWaitSec: noWaitSec(arrivals, bootSec),
  };
}

/**
 * Each task starts at once on the worker that rested least, and a worker is switched off in a rest that is longer than a
 * boot. Any other choice of workers makes the same sum of rests more even. That never costs less, because a rest costs
 * min(rest, boot), which is concave.
 * @param arrivals in the order in which they came.
 */
function noWaitSec(arrivals: readonly Arrival[], bootSec: number): number {
  const ends: number[] = [];
  const restingSince: number[] = [];
  let cost = 0;
  for (const { atMs, seconds } of arrivals) {
    const at = atMs / 1000;
    const running = ends.findIndex((end) => end > at);
    restingSince.push(...ends.splice(0, running === -1 ? ends.length : running));
    const since = restingSince.pop();
    cost += seconds + (since === undefined ? bootSec : Math.min(at - since, bootSec));
    const later = ends.findIndex((end) => end > at + seconds);
    ends.splice(later === -1 ? ends.length : later, 0, at + seconds);
  }
  return cost;
}
