import type { Wanted } from "./threshold.ts";

/** GPUs for each task. A pool between the size that it grows to and the size that it keeps stays as it is. */
export interface Multipliers {
  readonly scaleUpMultiplier: number;
  readonly scaleDownMultiplier: number;
}

/** A product of binary fractions is slightly wrong: 100 × 1.1 is 110.00000000000001, and must count as 110. */
const ROUNDING = 1e-9;

/**
 * The policy of the incumbent orchestrator: a fixed number of GPUs for each task that is queued or runs.
 * @param busy how many workers have a task.
 */
export function wantedByWorkload(queued: number, busy: number, multipliers: Multipliers): Wanted {
  const { scaleUpMultiplier: up, scaleDownMultiplier: down } = multipliers;
  const tasks = queued + busy;
  if (tasks === 0) {
    return { size: 0, keep: 0, reason: "nothing queued or running" };
  }
  const size = Math.max(1, Math.ceil(tasks * up - ROUNDING));
  const keep = Math.max(size, Math.ceil(tasks * down - ROUNDING));
  const kept = keep > size ? `, up to ${keep} kept at SCALE_DOWN_MULTIPLIER ${down}` : "";
  const reason = `(${queued} queued + ${busy} running) × SCALE_UP_MULTIPLIER ${up} → ${size} wanted${kept}`;
  return { size, keep, reason };
}
