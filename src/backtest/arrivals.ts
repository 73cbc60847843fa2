/** A task as it came to the queue, and how long a worker needs for it. */
export interface Arrival {
  /** When a worker could first claim it, ms since epoch. */
  readonly atMs: number;
  /** From the claim to the end. */
  readonly seconds: number;
  readonly type: string;
}

/** In the order in which they came; those of one instant stay in the order given. */
export function inOrder(arrivals: readonly Arrival[]): Arrival[] {
  return arrivals.toSorted((a, b) => a.atMs - b.atMs);
}

/** The GPU time of all tasks together. */
export function workSec(arrivals: readonly Arrival[]): number {
  return arrivals.reduce((sum, { seconds }) => sum + seconds, 0);
}
