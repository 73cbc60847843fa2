import { sleep } from "@temporalio/workflow";
import type { WorkerRow, WorkerTimings } from "../../contract/inputs.ts";
import { podActivities, workerStore } from "./worker-life.ts";

/** Two complete lists, a lag apart, must lack the pod. */
const NEEDED_ABSENCES = 2;

/**
 * Gone means seen gone: deletes whatever carries this worker's name until the provider shows nothing, then ends the
 * row. A name that was posted but never shown is watched for the whole settle time.
 * @param known the row, where it was read just now.
 * @returns the row as it was when its burial began.
 */
export async function buryPod(id: string, timings: WorkerTimings, known: WorkerRow | null): Promise<WorkerRow | null> {
  const store = workerStore();
  const { removePod } = podActivities({ summary: `remove pod ${id} and look whether it is gone` });
  const row = known ?? (await store.loadWorker(id)).row;
  if (row !== null && row.goneMs === null) {
    if (row.postState !== null) {
      const settleMs = row.podId === null ? (row.postedMs ?? 0) + timings.podSettleSec * 1000 - row.nowMs : 0;
      await untilGone(row.podId, Date.now() + settleMs);
    }
    await store.workerGone(id);
  }
  return row;

  async function untilGone(podId: string | null, settledAtMs: number): Promise<void> {
    let absences = 0;
    for (;;) {
      const { absent } = await removePod(id, podId);
      absences = absent ? absences + 1 : 0;
      if (absences >= NEEDED_ABSENCES && Date.now() >= settledAtMs) {
        return;
      }
      await sleep(Math.max(250, timings.podListLagSec * 1000), { summary: "a lag between two lists" });
    }
  }
}
