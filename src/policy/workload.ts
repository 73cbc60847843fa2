import type { Wanted } from "./threshold.ts";

/** GPUs for each task; between growing to one size and keeping another, nothing moves. */
export interface Multipliers {
  readonly scaleUpMultiplier: number;
  readonly scaleDownMultiplier: number;
}

/** So much of a product is the dust of binary fractions: 100 × 1.1 is 110, not 110.00000000000001. */
const DUST = 1e-9;

/**
 * The policy of the incumbent: so many GPUs for each task that waits or runs.
 * @param busy workers with a task.
 */
export function wantedByWorkload(queued: number, busy: number, multipliers: Multipliers): Wanted {
  const { scaleUpMultiplier: up, scaleDownMultiplier: down } = multipliers;
  const tasks = queued + busy;
  if (tasks === 0) {
    return { size: 0, keep: 0, reason: "nothing queued or running" };
  }
  const size = Math.max(1, Math.ceil(tasks * up - DUST));
  const keep = Math.max(size, Math.ceil(tasks * down - DUST));
  const kept = keep > size ? `, up to ${keep} kept at SCALE_DOWN_MULTIPLIER ${down}` : "";
  const reason = `(${queued} queued + ${busy} running) × SCALE_UP_MULTIPLIER ${up} → ${size} wanted${kept}`;
  return { size, keep, reason };
}
