import type { Pod } from "../runpod/types.ts";
import { UNKNOWN_STATUS } from "../runpod/read-pod.ts";
import type { ReadWorkerInBoot } from "../supabase/observation.ts";
import type { BootStage, WorkerStore } from "../supabase/worker-store.ts";

/**
 * Records the boot stages that a complete list shows of spawning workers, so that SPAWNING_TIMEOUT_SEC counts from when a
 * stage began and not from when the spawn deadline noticed it.
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
    if (status === "spawning" && pod !== undefined && pod.status !== UNKNOWN_STATUS) {
      const stage = bootStageOf(pod, sinceMs === null ? null : (Date.now() - sinceMs) / 1000);
      if (stage.name !== bootStage) {
        await workers.recordBootStage(id, stage);
      }
    }
  }
}

/** The provider shows when a pod began to run; of the stages before it shows no time. */
export function bootStageOf({ status, startedAt }: Pod, withinSec: number | null): BootStage {
  return { name: status.toLowerCase(), beganAt: status === "RUNNING" ? startedAt : null, withinSec };
}
