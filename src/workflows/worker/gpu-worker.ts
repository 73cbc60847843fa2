import { CancellationScope, CancelledFailure, workflowInfo } from "@temporalio/workflow";
import type { Booking, GpuWorkerInput, GpuWorkerResult, WorkerRow, WorkerTimings } from "../../contract/inputs.ts";
import { requireInput } from "../require-input.ts";
import { acquirePod } from "./acquire-pod.ts";
import { boot } from "./boot.ts";
import { bury } from "./bury-pod.ts";
import { finishTask } from "./finish-task.ts";
import { beginLife, enter, type Life, show } from "./life.ts";
import { giveOrder, handleSignals } from "./orders.ts";
import { liveJob } from "./pod-job.ts";
import { serve } from "./serve.ts";

/** One GPU worker from its reservation to its burial. */
export async function gpuWorker(input: GpuWorkerInput): Promise<GpuWorkerResult> {
  requireInput(input, ["pool", "id"]);
  const { id, booked } = input;
  const life = beginLife(input);
  handleSignals(life);
  CancellationScope.current().cancelRequested.catch(() => {
    life.cancelled = true;
    giveOrder(life, { name: "drain", order: { reason: "its workflow was cancelled", onlyIdle: false } });
  });
  const result = await CancellationScope.nonCancellable(async () => await live(life, booked));
  if (life.cancelled) {
    throw new CancelledFailure(`worker ${id} was drained and its pod is gone`);
  }
  return result;
}

/**
 * loading → creating → booting → active → draining → burying → gone. Each phase answers the status that the row has
 * now, which says what comes next; so a start for an existing pod is no special mode.
 */
async function live(life: Life, booked: Booking | undefined): Promise<GpuWorkerResult> {
  const { id } = life;
  const { row, timings } = booked === undefined ? await life.activities.loadWorker(id) : asBooked(id, booked);
  if (row === null) {
    return { id, status: "unknown", reason: "no such row" };
  }
  if (row.job !== undefined) {
    // An order for a job whose own workflow was lost starts this one.
    const { state, reason } = await liveJob(life, row, timings);
    return { id, status: state === "done" ? "terminated" : "error", reason };
  }
  // Of the time when the row was read: a run that was reset replays it, and the present may be hours later.
  const readMs = booked === undefined ? Date.now() : workflowInfo().startTime.getTime();
  const endsAtMs = readMs + row.createdMs + timings.workerMaxLifetimeSec * 1000 - row.nowMs;
  let { status } = row;
  life.podId = row.podId;
  if (status === "spawning" || (status === "active" && row.postState === "posting")) {
    show(life, "creating");
    ({ status, podId: life.podId } = await acquirePod(life, row, timings));
  }
  if (status === "spawning") {
    show(life, "booting", life.podId);
    status = await boot(life, timings);
  }
  if (status === "active") {
    enter(life, "active", life.podId);
    status = await serve(life, endsAtMs, timings);
  }
  if (status === "terminating") {
    status = await finishTask(life, timings);
  }
  const reason = await bury(life, timings);
  return { id, status: status === "error" ? "error" : "terminated", reason };
}

/** A row as reserve_workers writes it. */
function asBooked(id: string, { atMs, timings }: Booking): { row: WorkerRow; timings: WorkerTimings } {
  const row: WorkerRow = {
    nowMs: atMs,
    id,
    status: "spawning",
    podId: null,
    postState: null,
    postedMs: null,
    createdMs: atMs,
    readyMs: null,
    bootStage: "reserved",
    bootStageMs: atMs,
    terminatingMs: null,
    drainsWithoutDeadline: false,
    goneMs: null,
    statusReason: null,
    busy: false,
  };
  return { row, timings };
}
