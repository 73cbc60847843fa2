import { readFile } from "node:fs/promises";
import type { PodJobPurpose } from "../../contract/pod-job-state.ts";
import type { PoolSettings } from "../../contract/pool-settings.ts";
import type { GroundOfJob } from "../../supabase/worker-store.ts";

const SCRIPTS: Readonly<Record<PodJobPurpose, URL>> = {
  "volume-prepare": new URL("prepare-volume.sh", import.meta.url),
  "spawn-test": new URL("spawn-test.sh", import.meta.url),
};
const COMMON = new URL("report.sh", import.meta.url);

/**
 * The settings of a pod: those in force, unless it is rented for a job. Then it runs the script of its purpose in place of the
 * worker, in the worker's own image.
 */
export async function settingsOfPod(settings: PoolSettings, job: GroundOfJob | null): Promise<PoolSettings> {
  if (job === null) {
    return settings;
  }
  const [common, script] = await Promise.all([COMMON, SCRIPTS[job.purpose]].map((file) => readFile(file, "utf8")));
  const variables = Object.entries(job.details.variables).map(([name, value]) => `${name}=${value}`);
  return {
    ...settings,
    workerStartCommand: `${common}\n${script}`,
    workerEntrypoint: [],
    workerArgs: [],
    workerEnv: [...settings.workerEnv, ...variables],
  };
}
