import { sleep } from "@temporalio/workflow";
import type { WorkerTimings } from "../../contract/inputs.ts";
import { podActivities } from "./activities.ts";
import { enter, type Life, show } from "./life.ts";
import { renewIfFull } from "./renew.ts";

/** How many complete lists in a row, a lag apart, must not contain the pod. */
const NEEDED_ABSENCES = 2;

/**
 * Deletes every pod of this worker's name until the provider shows none, then ends the row. A name that was posted but
 * never shown is watched for the whole settle time.
 * @returns why the worker ended, as its row says.
 */
export async function bury(life: Life, timings: WorkerTimings): Promise<string | null> {
  const { id, activities } = life;
  enter(life, "burying");
  // The pod's id may have come while the task ended: read it.
  const known = life.row?.busy === true && life.row.podId === null ? null : life.row;
  const row = known ?? (await activities.loadWorker(id)).row;
  if (row === null) {
    // Its row was deleted: a pod of its name may exist all the same.
    await untilGone(life, life.podId, Date.now() + timings.podSettleSec * 1000, timings);
  } else if (row.goneMs === null) {
    if (row.postState !== null) {
      const settleMs = row.podId === null ? (row.postedMs ?? 0) + timings.podSettleSec * 1000 - row.nowMs : 0;
      await untilGone(life, row.podId, Date.now() + settleMs, timings);
    }
    await activities.workerGone(id);
  }
  const reason = row?.statusReason ?? null;
  show(life, "gone", row?.podId ?? life.podId, reason);
  return reason;
}

async function untilGone(life: Life, podId: string | null, settledAtMs: number, timings: WorkerTimings): Promise<void> {
  const { id } = life;
  const { removePod } = podActivities({ summary: `remove pod ${id} and look whether it is gone` });
  let absences = 0;
  for (;;) {
    const { absent } = await removePod(id, podId);
    absences = absent ? absences + 1 : 0;
    if (absences >= NEEDED_ABSENCES && Date.now() >= settledAtMs) {
      return;
    }
    await renewIfFull(life);
    await sleep(Math.max(250, timings.podListLagSec * 1000), {
      summary: "wait between two looks at the provider's list",
    });
  }
}
