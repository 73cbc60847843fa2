import { condition, proxyActivities, sleep, workflowInfo } from "@temporalio/workflow";
import type { CreatePodResult, PodActivities } from "../../contract/activities.ts";
import type { WorkerRow, WorkerTimings } from "../../contract/inputs.ts";
import { runpodTaskQueue } from "../../contract/names.ts";
import { podActivities, workerStore } from "./worker-life.ts";

const FIRST_BACKOFF_MS = 5_000;
const LONGEST_BACKOFF_MS = 60_000;
const SETTLE_PROBE_MS = 5_000;

interface Acquisition {
  readonly pool: string;
  readonly row: WorkerRow;
  readonly timings: WorkerTimings;
  /** An order ends the waiting between two tries, never a request that is under way. */
  hasOrder(): boolean;
}

type Acquired = Pick<WorkerRow, "status" | "podId">;

/**
 * One billed pod per worker: its name is posted again only after a definite refusal. After anything unclear the
 * provider's list decides: found → adopted; not found until settled → the name is burned and the worker ends.
 * @returns status spawning with the pod's id (null: an order came first), or the status that the row has by now.
 */
export async function acquirePod({ pool, row, timings, hasOrder }: Acquisition): Promise<Acquired> {
  const { id } = row;
  const store = workerStore();
  const { createPod } = proxyActivities<PodActivities>({
    taskQueue: runpodTaskQueue(workflowInfo().taskQueue),
    startToCloseTimeout: "2m",
    heartbeatTimeout: "15s",
    // A second post could be a second billed pod.
    retry: { maximumAttempts: 1 },
    summary: `create pod ${id}`,
  });

  let current = row;
  let backoffMs = FIRST_BACKOFF_MS;
  const deadlineMs = Date.now() + timings.spawningTimeoutSec * 1000;
  for (;;) {
    // Also when the pod's first heartbeat came before the answer to its request: an active row needs its pod's id.
    if (current.postState === "posting" && (current.status === "spawning" || current.status === "active")) {
      return await settle(current);
    }
    if (current.status !== "spawning" || current.postState === "posted") {
      return current;
    }
    if (current.postState === "burned") {
      return await giveUp("its name was burned");
    }
    if (hasOrder()) {
      return current;
    }
    const result = await createPod(pool, id, timings).catch((): CreatePodResult => ({
      kind: "ambiguous",
      detail: "no answer",
    }));
    if (result.kind === "created") {
      if (!result.recorded) {
        await store.recordPod(id, result.pod, false);
      }
      return { status: "spawning", podId: result.pod.podId };
    }
    if (result.kind === "refused") {
      const waitMs = Math.max(backoffMs, (result.retryAfterSec ?? 0) * 1000);
      if (!result.retryable || Date.now() + waitMs > deadlineMs) {
        return await giveUp(`the provider refused its pod: ${result.reason}: ${result.detail}`);
      }
      await condition(hasOrder, waitMs, { summary: `try again after refusal: ${result.reason}` });
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
    }
    current = (await store.loadWorker(id)).row ?? current;
    if (result.kind === "ambiguous" && current.postState === null) {
      if (Date.now() + backoffMs > deadlineMs) {
        return await giveUp(`its create request could not be sent: ${result.detail}`);
      }
      await condition(hasOrder, backoffMs, { summary: "the request never left; try again" });
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
    }
  }

  async function settle(posting: WorkerRow): Promise<Acquired> {
    const { findPod } = podActivities({ summary: `is there a pod named ${id}?` });
    const settledAtMs = Date.now() + (posting.postedMs ?? posting.nowMs) + timings.podSettleSec * 1000 - posting.nowMs;
    for (;;) {
      const { pod } = await findPod(id);
      if (pod !== null) {
        await store.recordPod(id, pod, true);
        const { row: adopted } = await store.loadWorker(id);
        return { status: adopted?.status ?? "spawning", podId: pod.podId };
      }
      const { row: now } = await store.loadWorker(id);
      if (now !== null && now.postState !== "posting") {
        return now;
      }
      if (Date.now() >= settledAtMs) {
        if (now?.status === "active") {
          return now;
        }
        await store.burnName(id, `no pod of this name within ${timings.podSettleSec} s of an unclear create request`);
        return await giveUp("its create request had no clear answer and no pod of its name appeared");
      }
      await sleep(Math.min(SETTLE_PROBE_MS, Math.max(250, settledAtMs - Date.now())), {
        summary: "let the create request settle",
      });
    }
  }

  async function giveUp(reason: string): Promise<Acquired> {
    const { outcome } = await store.failWorker(id, "host_lost", reason, { onlyIfSpawning: true });
    return { status: outcome === "refused_ready" ? "active" : "error", podId: null };
  }
}
