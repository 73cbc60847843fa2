/** The size that a policy wants for the demand alone, before MIN, the idle buffer and MAX. */
export interface Wanted {
  /** The pool grows to this size. */
  readonly size: number;
  /** The pool shrinks to this size. Never less than `size`, so that no worker is drained only to be spawned again. */
  readonly keep: number;
  readonly reason: string;
}

/**
 * The default policy: grow when there are more than `threshold` queued tasks for each worker, active or spawning.
 * @param present how many workers are active or spawning.
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
