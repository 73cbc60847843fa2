/** How WAIT_VALUE is learnt towards a target wait. The database takes the step: it knows what started since its last one. */
export interface WaitTarget {
  readonly targetSec: number;
  /** 95: of a hundred tasks, five may wait longer. */
  readonly percentile: number;
  /** Where learning begins in a pool that has learnt nothing. */
  readonly first: number;
  readonly lowest: number;
  readonly highest: number;
  /** Also the step of one late start, as a share. */
  readonly gain: number;
  /** False while something else than the policy keeps the pool small: late starts then say nothing about WAIT_VALUE. */
  readonly learns: boolean;
}

/** Tasks that were claimed since the last step, and those of them that had waited longer than the target. */
export interface Starts {
  readonly starts: number;
  readonly late: number;
}

/**
 * The next WAIT_VALUE. It rises by `gain` × 0.95 with each late start and falls by `gain` × 0.05 with each other one, so it
 * rests where five of a hundred are late.
 */
export function learnt(waitValue: number | null, target: WaitTarget, { starts, late }: Starts): number {
  const before = waitValue ?? target.first;
  const mayBeLate = 1 - target.percentile / 100;
  const step = target.learns ? Math.exp(target.gain * (late - mayBeLate * starts)) : 1;
  return Math.min(target.highest, Math.max(target.lowest, before * step));
}
