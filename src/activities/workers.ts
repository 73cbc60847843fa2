import { Context } from "@temporalio/activity";
import type { Config } from "../config/config.ts";
import type { CreatedPod, WorkerActivities } from "../contract/activities.ts";
import type { WorkerRow, WorkerTimings } from "../contract/inputs.ts";
import { plausiblePrice, plausibleTime } from "../runpod/plausible.ts";
import type { AlertStore } from "../supabase/alert-store.ts";
import { isFinal } from "../supabase/database-error.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";
import { noteOnTrace } from "./on-trace.ts";
import { workerTimings } from "./worker-timings.ts";

/** From this attempt on there is an alert: a pod that its row does not know may be billing. */
const ALARM_ATTEMPT = 5;

export interface WorkerDeps {
  readonly workers: WorkerStore;
  readonly alerts: Pick<AlertStore, "open" | "close">;
  readonly config: Config;
}

/** Activities by which a worker workflow reads and writes its worker's row. */
export function createWorkerActivities({ workers, alerts, config }: WorkerDeps): WorkerActivities {
  async function read(id: string): Promise<{ row: WorkerRow | null; timings: WorkerTimings }> {
    const loaded = await workers.load(id);
    if (loaded === null) {
      return { row: null, timings: workerTimings(config, {}, {}) };
    }
    const { config: own, environment, job, pool, decisionId: decision, taskId: task, ...row } = loaded;
    noteOnTrace({ pool, worker: id, decision, task });
    const timings = workerTimings(config, environment, own);
    if (job === null) {
      return { row, timings };
    }
    return { row: { ...row, job }, timings: { ...timings, workerMaxLifetimeSec: job.timeoutSec } };
  }

  return {
    loadWorker: read,
    async drainWorker(id, order) {
      const answer = await workers.drain(id, order);
      return answer.outcome === "drained" ? { ...answer, row: (await read(id)).row } : answer;
    },
    async failWorker(id, cause, reason, ground) {
      const answer = await workers.fail(id, {
        cause,
        reason,
        evidence: ground.evidence ?? null,
        heartbeatMs: ground.heartbeatMs ?? null,
        progressMs: ground.progressMs ?? null,
        failedSinceMs: ground.failedSinceMs ?? null,
        onlyIfSpawning: ground.onlyIfSpawning ?? false,
      });
      return answer.outcome === "failed" ? { ...answer, row: (await read(id)).row } : answer;
    },
    async expelWorker(id, reason) {
      return await workers.expel(id, reason);
    },
    recordPod: (id, pod, adopted) => recordPod({ workers, alerts }, id, pod, adopted),
    async burnName(id, reason) {
      await workers.burnName(id, reason);
    },
    async workerGone(id) {
      await workers.gone(id);
    },
  };
}

async function recordPod(
  { workers, alerts }: Pick<WorkerDeps, "workers" | "alerts">,
  id: string,
  { podId, ...said }: CreatedPod,
  adopted: boolean,
): Promise<void> {
  // A workflow's history may hold values that an older version took from the provider unchecked.
  const costPerHourUsd = plausiblePrice(said.costPerHourUsd);
  const createdAt = plausibleTime(said.createdAt, Date.now());
  const { attempt, workflowExecution } = Context.current().info;
  const mayBeOpen = attempt >= ALARM_ATTEMPT;
  try {
    await workers.recordPod(id, { podId, costPerHourUsd, createdAt }, adopted).catch(async (error: unknown) => {
      if (!isFinal(error)) {
        throw error;
      }
      // No pod is lost because of its price or its time.
      await workers.recordPod(id, { podId, costPerHourUsd: null, createdAt: null }, adopted);
    });
  } catch (error) {
    if (mayBeOpen) {
      const message = `pod ${podId} cannot be recorded and may be billing; it is tried again: ${String(error)}`;
      const pool = workflowExecution?.workflowId.split("/").at(-3) ?? null;
      // A failed alert is no reason to give up: the next attempt opens it.
      await alerts.open({ kind: "record_failing", subject: id, message }, pool).catch(() => undefined);
    }
    throw error;
  }
  if (mayBeOpen) {
    await alerts.close("record_failing", id);
  }
}
