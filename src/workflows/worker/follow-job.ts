import { condition, log } from "@temporalio/workflow";
import { bootTimeoutSec } from "../../contract/boot-stages.ts";
import type { WorkerRow, WorkerTimings } from "../../contract/inputs.ts";
import { podActivities } from "./activities.ts";
import type { Life } from "./life.ts";
import { carryOut, takeOrder } from "./orders.ts";
import { isFull, renewIfFull } from "./renew.ts";

/** The end is noticed within a twentieth of the time that the job took. */
const PAUSE_PART = 1 / 20;
const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
/** One look that lacks the pod proves nothing. */
const NEEDED_ABSENCES = 2;
const ENDED: ReadonlySet<string> = new Set(["EXITED", "ERROR", "TERMINATED"]);

/** Looks again and again how far the job is. Returns when it has ended, was told to end, or can no longer succeed. */
export async function followJob(life: Life, endsAtMs: number, timings: WorkerTimings): Promise<void> {
  const begunMs = endsAtMs - timings.workerMaxLifetimeSec * 1000;
  let absences = 0;
  for (;;) {
    const leftMs = Math.max(1, endsAtMs - Date.now());
    const pauseMs = Math.max(SHORTEST_PAUSE_MS, Math.min((Date.now() - begunMs) * PAUSE_PART, LONGEST_PAUSE_MS));
    const isWoken = () => life.order !== null || isFull(life);
    await condition(isWoken, Math.min(pauseMs, leftMs), { summary: "until the next look at the job" });
    await renewIfFull(life);
    const order = takeOrder(life);
    if (order !== null && (await carryOut(life, order)) !== null) {
      return;
    }
    // The pod first: one that ends by itself has reported before.
    const seen = await lookAtPod(life);
    absences = seen === "absent" ? absences + 1 : 0;
    const { row } = await life.activities.loadWorker(life.id);
    if (row === null || (row.status !== "spawning" && row.status !== "active")) {
      return;
    }
    life.podId ??= row.podId;
    if (row.job?.state === "done") {
      await carryOut(life, { name: "drain", order: { reason: "its job is done", onlyIdle: false } });
      return;
    }
    const problem = problemOf(row, { seen, absences, timings });
    if (problem !== null) {
      life.row = (await life.activities.failWorker(life.id, "worker_died", problem, {})).row ?? null;
      return;
    }
  }
}

interface Looks {
  /** The pod's status; null: the provider does not say. */
  readonly seen: string | null;
  readonly absences: number;
  readonly timings: WorkerTimings;
}

/** Why the job cannot succeed any more; null: it may. */
function problemOf(row: WorkerRow, { seen, absences, timings }: Looks): string | null {
  if (row.job?.state === "failed") {
    return `its job failed: ${row.job.error ?? "the pod did not say why"}`;
  }
  if (row.nowMs >= row.createdMs + timings.workerMaxLifetimeSec * 1000) {
    return `its job was not done within ${timings.workerMaxLifetimeSec} s`;
  }
  if (absences >= NEEDED_ABSENCES) {
    return "its pod is gone, and its job was not done";
  }
  if (seen !== null && ENDED.has(seen)) {
    return `its pod is ${seen}, and its job was not done`;
  }
  const bootSec = bootTimeoutSec(row.bootStage, timings);
  return row.status === "spawning" && row.nowMs >= row.bootStageMs + bootSec * 1000
    ? `no report ${bootSec} s after boot stage "${row.bootStage}"`
    : null;
}

async function lookAtPod({ id, podId }: Life): Promise<string | null> {
  if (podId === null) {
    return null;
  }
  try {
    const look = podActivities({ summary: "does its pod still run?", maximumAttempts: 3 });
    return (await look.checkBoot(id, podId)).status;
  } catch (error) {
    log.warn("the provider does not say how the job's pod is", { worker: id, podId, error });
    return null;
  }
}
