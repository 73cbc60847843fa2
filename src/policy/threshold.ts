/** What a policy makes of demand alone, before MIN, the idle buffer and MAX. */
export interface Wanted {
  /** The pool grows to it. */
  readonly size: number;
  /** The pool shrinks to it; never less than `size`, so that nothing is drained only to be spawned again. */
  readonly keep: number;
  readonly reason: string;
}

/**
 * The policy of the seeds: grow when there are more than `threshold` queued tasks to each worker, there or spawning.
 * @param present workers that are active or spawning.
 */
export function wantedByThreshold(queued: number, present: number, threshold: number): Wanted {
  if (queued === 0) {
    return { size: 0, keep: 0, reason: "nothing queued" };
  }
  const enough = Math.ceil(queued / threshold);
  const sum = `${queued} queued / threshold ${threshold} → ${enough} wanted`;
  if (present === 0) {
    return { size: enough, keep: enough, reason: `${sum}, no worker yet` };
  }
  if (queued / present > threshold) {
    return { size: enough, keep: enough, reason: `${sum}, ${present} present` };
  }
  const reason = `${queued} queued for ${present} present: within threshold ${threshold}`;
  return { size: present, keep: present, reason };
}
