export interface Wanted {
  readonly size: number;
  readonly reason: string;
}

/**
 * The policy of the seeds: grow when there are more than `threshold` queued tasks to each worker, there or spawning.
 * @param present workers that are active or spawning.
 */
export function wantedByThreshold(queued: number, present: number, threshold: number): Wanted {
  if (queued === 0) {
    return { size: 0, reason: "nothing queued" };
  }
  const enough = Math.ceil(queued / threshold);
  if (present === 0) {
    return { size: enough, reason: `${queued} queued / threshold ${threshold} → ${enough} wanted, no worker yet` };
  }
  if (queued / present > threshold) {
    return { size: enough, reason: `${queued} queued / threshold ${threshold} → ${enough} wanted, ${present} present` };
  }
  return { size: present, reason: `${queued} queued for ${present} present: within threshold ${threshold}` };
}
