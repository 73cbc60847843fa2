import { CancellationScope, CancelledFailure } from "@temporalio/workflow";
import type { WorkerRow, WorkerTimings } from "../../contract/inputs.ts";
import type { PodJobActivities, PodJobInput, PodJobResult } from "../../contract/pod-job.ts";
import { summarised } from "../summarised.ts";
import { acquirePod } from "./acquire-pod.ts";
import { bury } from "./bury-pod.ts";
import { followJob } from "./follow-job.ts";
import { beginLife, enter, type Life, show } from "./life.ts";
import { giveOrder, handleSignals } from "./orders.ts";

const { reservePodJob } = summarised<PodJobActivities>(
  { startToCloseTimeout: "30s", heartbeatTimeout: "10s", retry: { initialInterval: "250ms", maximumInterval: "30s" } },
  { reservePodJob: "book one pod for the job, if the account's ceilings allow it" },
);

/** One pod that is rented for one job, from its reservation to its burial. */
export async function podJob(input: PodJobInput): Promise<PodJobResult> {
  const { id } = input;
  const life = beginLife(input);
  handleSignals(life);
  CancellationScope.current().cancelRequested.catch(() => {
    life.cancelled = true;
    giveOrder(life, { name: "drain", order: { reason: "its workflow was cancelled", onlyIdle: false } });
  });
  const result = await CancellationScope.nonCancellable(async () => await live(life, input));
  if (life.cancelled && result.state !== "refused") {
    throw new CancelledFailure(`job ${id} was ended and its pod is gone`);
  }
  return result;
}

async function live(life: Life, { pool, id, order }: PodJobInput): Promise<PodJobResult> {
  if (order !== undefined) {
    const { outcome, reason } = await reservePodJob(pool, id, order);
    if (outcome !== "reserved" && outcome !== "already_reserved") {
      return { id, state: "refused", reason };
    }
  }
  const { row, timings } = await life.activities.loadWorker(id);
  if (row === null) {
    return { id, state: "unknown", reason: "no such row" };
  }
  return await liveJob(life, row, timings);
}

/** creating → following → burying → gone. Like a worker's life it begins with the row, so it may begin anywhere. */
export async function liveJob(life: Life, row: WorkerRow, timings: WorkerTimings): Promise<PodJobResult> {
  const { id } = life;
  const endsAtMs = Date.now() + row.createdMs + timings.workerMaxLifetimeSec * 1000 - row.nowMs;
  let { status } = row;
  life.podId = row.podId;
  if (status === "spawning" || (status === "active" && row.postState === "posting")) {
    show(life, "creating");
    ({ status, podId: life.podId } = await acquirePod(life, row, timings));
  }
  if (status === "spawning" || status === "active") {
    enter(life, "active", life.podId);
    await followJob(life, endsAtMs, timings);
  }
  const reason = await bury(life, timings);
  const { row: last } = await life.activities.loadWorker(id);
  const state = last?.job?.state === "done" ? "done" : "failed";
  return { id, state, reason: state === "done" ? null : (last?.job?.error ?? reason) };
}
