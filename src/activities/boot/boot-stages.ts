import type { Pod } from "../../runpod/types.ts";
import type { ReadWorkerInBoot } from "../../supabase/observation.ts";
import type { BootStage, WorkerStore } from "../../supabase/worker-store.ts";

/**
 * Records the boot stages that a complete list shows of spawning workers, so that a stage's deadline counts from when the
 * stage began and not from when the deadline before it noticed it.
 * @param sinceMs when the complete list before this one was asked for; null: there was none.
 */
export async function recordBootStages(
  workers: Pick<WorkerStore, "recordBootStage">,
  fleet: readonly ReadWorkerInBoot[],
  pods: readonly Pod[],
  sinceMs: number | null,
): Promise<void> {
  const byId = new Map(pods.map((pod) => [pod.id, pod]));
  for (const { id, status, podId, bootStage } of fleet) {
    const pod = podId === null ? undefined : byId.get(podId);
    if (status === "spawning" && pod !== undefined) {
      const stage = bootStageOf(pod, sinceMs === null ? null : (Date.now() - sinceMs) / 1000);
      if (stage !== null && stage.name !== bootStage) {
        await workers.recordBootStage(id, stage);
      }
    }
  }
}

/** A pod that costs money and does not run yet, by the provider's word. */
const BEFORE_RUNNING: Readonly<Record<string, string>> = { PROVISIONING: "pulling", STARTING: "starting" };
/** The uptime is in whole seconds. */
const UPTIME_PRECISION_MS = 1000;

/**
 * The stage that the provider shows; null: none of a boot. RUNNING has been seen from the moment of the rent on, while the
 * image was still pulled; only an uptime says that the container runs, and its start is no earlier than that says.
 */
export function bootStageOf({ status, startedAt, uptimeSec }: Pod, withinSec: number | null): BootStage | null {
  const before = status === "RUNNING" && uptimeSec === null ? "pulling" : BEFORE_RUNNING[status];
  if (before !== undefined) {
    return { name: before, beganAt: null, withinSec };
  }
  if (status !== "RUNNING" || uptimeSec === null) {
    return null;
  }
  const byUptimeMs = Date.now() - uptimeSec * 1000 - UPTIME_PRECISION_MS;
  const beganMs = startedAt === null ? byUptimeMs : Math.max(byUptimeMs, Date.parse(startedAt));
  return { name: "running", beganAt: new Date(beganMs).toISOString(), withinSec };
}
