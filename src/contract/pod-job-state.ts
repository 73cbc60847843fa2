/** What a pod is rented for that never works on tasks. */
export const POD_JOB_PURPOSES = ["volume-prepare", "spawn-test"] as const;
export type PodJobPurpose = (typeof POD_JOB_PURPOSES)[number];

/** How far a job is, as its row says. */
export interface PodJobState {
  readonly purpose: PodJobPurpose;
  readonly state: "running" | "done" | "failed";
  readonly error: string | null;
  readonly timeoutSec: number;
}
