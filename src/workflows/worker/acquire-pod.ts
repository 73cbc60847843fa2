import { condition, proxyActivities, sleep, workflowInfo } from "@temporalio/workflow";
import type { CreatePodResult, PodActivities } from "../../contract/activities.ts";
import type { WorkerRow, WorkerTimings } from "../../contract/inputs.ts";
import { runpodTaskQueue } from "../../contract/names.ts";
import { podActivities } from "./activities.ts";
import type { Life } from "./life.ts";

const FIRST_BACKOFF_MS = 5_000;
const LONGEST_BACKOFF_MS = 60_000;
const SETTLE_PROBE_MS = 5_000;

type Acquired = Pick<WorkerRow, "status" | "podId">;

/**
 * One billed pod per worker: a name is posted again only after a definite refusal. After an unclear answer the
 * provider's list decides. A pod that it shows is adopted; if none appears in time, the name is burned and the worker
 * ends. An order ends the pause between two requests. It does not cancel a running request.
 * @returns status spawning with the pod's id (null: an order came first), or another status that the row has now.
 */
export async function acquirePod(life: Life, row: WorkerRow, timings: WorkerTimings): Promise<Acquired> {
  const { id, activities } = life;
  const backoff = createBackoff(life, Date.now() + timings.spawningTimeoutSec * 1000);
  let current = row;
  for (;;) {
    // An active row also comes here: its first heartbeat preceded the answer, so its pod's id is missing.
    if (current.postState === "posting" && (current.status === "spawning" || current.status === "active")) {
      return await settle(life, current, timings);
    }
    if (current.status !== "spawning" || current.postState === "posted") {
      return current;
    }
    if (current.postState === "burned") {
      return await giveUp(life, "its name was burned");
    }
    if (life.order !== null) {
      return current;
    }
    const result = await post(life, timings);
    if (result.kind === "created") {
      if (!result.recorded) {
        await activities.recordPod(id, result.pod, false);
      }
      return { status: "spawning", podId: result.pod.podId };
    }
    if (result.kind === "refused") {
      const { reason, detail, retryable, retryAfterSec } = result;
      if (!retryable || !(await backoff(`try again after refusal: ${reason}`, (retryAfterSec ?? 0) * 1000))) {
        return await giveUp(life, `the provider refused its pod: ${reason}: ${detail}`);
      }
    }
    const { row: now } = await activities.loadWorker(id);
    if (now === null) {
      // Its row was deleted. The burial still looks for a pod of its name.
      return { status: "error", podId: null };
    }
    current = now;
    if (result.kind === "ambiguous" && current.postState === null) {
      if (!(await backoff("the request never left; try again"))) {
        return await giveUp(life, `its create request could not be sent: ${result.detail}`);
      }
    }
  }
}

async function post({ pool, id }: Life, timings: WorkerTimings): Promise<CreatePodResult> {
  const { createPod } = proxyActivities<PodActivities>({
    taskQueue: runpodTaskQueue(workflowInfo().taskQueue),
    startToCloseTimeout: "2m",
    heartbeatTimeout: "15s",
    // A second post could be a second billed pod.
    retry: { maximumAttempts: 1 },
    summary: `create pod ${id}`,
  });
  try {
    return await createPod(pool, id, timings);
  } catch {
    return { kind: "ambiguous", detail: "no answer" };
  }
}

/** @returns a function that waits, each time longer, until an order comes; it answers false if the deadline is too near. */
function createBackoff(life: Life, deadlineMs: number) {
  let backoffMs = FIRST_BACKOFF_MS;
  return async (summary: string, atLeastMs = 0): Promise<boolean> => {
    const waitMs = Math.max(backoffMs, atLeastMs);
    if (Date.now() + waitMs > deadlineMs) {
      return false;
    }
    await condition(() => life.order !== null, waitMs, { summary });
    backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
    return true;
  };
}

/** Looks for the pod of an unclear request until its name appears or the settle time has passed. */
async function settle(life: Life, posting: WorkerRow, timings: WorkerTimings): Promise<Acquired> {
  const { id, activities } = life;
  const { findPod } = podActivities({ summary: `is there a pod named ${id}?` });
  const settledAtMs = Date.now() + (posting.postedMs ?? posting.nowMs) + timings.podSettleSec * 1000 - posting.nowMs;
  for (;;) {
    const { pod } = await findPod(id);
    if (pod !== null) {
      await activities.recordPod(id, pod, true);
      const { row: adopted } = await activities.loadWorker(id);
      return { status: adopted?.status ?? "spawning", podId: pod.podId };
    }
    const { row: now } = await activities.loadWorker(id);
    if (now !== null && now.postState !== "posting") {
      return now;
    }
    if (Date.now() >= settledAtMs) {
      if (now?.status === "active") {
        return now;
      }
      const reason = `no pod of this name within ${timings.podSettleSec} s of an unclear create request`;
      await activities.burnName(id, reason);
      return await giveUp(life, "its create request had no clear answer and no pod of its name appeared");
    }
    await sleep(Math.min(SETTLE_PROBE_MS, Math.max(250, settledAtMs - Date.now())), {
      summary: "let the create request settle",
    });
  }
}

/** The deadline has no effect if the first heartbeat came meanwhile. */
async function giveUp({ id, activities }: Life, reason: string): Promise<Acquired> {
  const { outcome } = await activities.failWorker(id, "host_lost", reason, { onlyIfSpawning: true });
  return { status: outcome === "refused_ready" ? "active" : "error", podId: null };
}
