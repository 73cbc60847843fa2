import type { Config } from "../config/config.ts";
import type { WorkerActivities } from "../contract/activities.ts";
import type { WorkerRow, WorkerTimings } from "../contract/inputs.ts";
import { plausiblePrice, plausibleTime } from "../runpod/plausible.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";
import { workerTimings } from "./worker-timings.ts";

export interface WorkerDeps {
  readonly workers: WorkerStore;
  readonly config: Config;
}

/** Activities by which a worker workflow reads and writes its worker's row. */
export function createWorkerActivities({ workers, config }: WorkerDeps): WorkerActivities {
  async function read(id: string): Promise<{ row: WorkerRow | null; timings: WorkerTimings }> {
    const loaded = await workers.load(id);
    if (loaded === null) {
      return { row: null, timings: workerTimings(config, {}, {}) };
    }
    const { config: own, environment, ...row } = loaded;
    return { row, timings: workerTimings(config, environment, own) };
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
        onlyIfSpawning: ground.onlyIfSpawning ?? false,
      });
      return answer.outcome === "failed" ? { ...answer, row: (await read(id)).row } : answer;
    },
    async expelWorker(id, reason) {
      return await workers.expel(id, reason);
    },
    async recordPod(id, pod, adopted) {
      // A workflow's history may hold values that an older version took from the provider unchecked.
      const costPerHourUsd = plausiblePrice(pod.costPerHourUsd);
      const createdAt = plausibleTime(pod.createdAt, Date.now());
      await workers.recordPod(id, { podId: pod.podId, costPerHourUsd, createdAt }, adopted);
    },
    async burnName(id, reason) {
      await workers.burnName(id, reason);
    },
    async workerGone(id) {
      await workers.gone(id);
    },
  };
}
