import type { Config } from "../../config/config.ts";
import type { PodJobActivities } from "../../contract/pod-job.ts";
import type { JobStore } from "../../supabase/jobs/job-store.ts";

/** Books pods for jobs, within the ceilings of this process's environment. */
export function createPodJobActivities(deps: {
  readonly config: Pick<Config, "budget">;
  readonly jobs: Pick<JobStore, "reserve">;
}): PodJobActivities {
  return {
    reservePodJob: (pool, id, order) => deps.jobs.reserve(pool, id, order, deps.config.budget),
  };
}
