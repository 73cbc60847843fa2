import { parseScalingOverrides } from "../config.ts";
import type { WorkerActivities } from "../contract/activities.ts";
import type { WorkerTimings } from "../contract/inputs.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";

export interface WorkerDeps {
  readonly workers: WorkerStore;
  readonly timings: WorkerTimings;
}

/** A worker's row as its lifecycle workflow reads and writes it. */
export function createWorkerActivities({ workers, timings }: WorkerDeps): WorkerActivities {
  return {
    async loadWorker(id) {
      const loaded = await workers.load(id);
      if (loaded === null) {
        return { row: null, timings };
      }
      const { config, ...row } = loaded;
      return { row, timings: effective(timings, config) };
    },
    async drainWorker(id, order) {
      return await workers.drain(id, order.reason, order.onlyIdle);
    },
    async failWorker(id, cause, reason, ground) {
      return await workers.fail(id, {
        cause,
        reason,
        heartbeatMs: ground.heartbeatMs ?? null,
        onlyIfSpawning: ground.onlyIfSpawning ?? false,
      });
    },
    async expelWorker(id, reason) {
      return await workers.expel(id, reason);
    },
    async recordPod(id, pod, adopted) {
      await workers.recordPod(id, pod, adopted);
    },
    async burnName(id, reason) {
      await workers.burnName(id, reason);
    },
    async workerGone(id) {
      await workers.gone(id);
    },
  };
}

/** The pool's own deadlines, laid over those of this process. */
function effective(timings: WorkerTimings, config: Readonly<Record<string, unknown>>): WorkerTimings {
  const { spawningTimeoutSec, gracefulShutdownTimeoutSec, workerMaxLifetimeSec } = {
    ...timings,
    ...parseScalingOverrides(config),
  };
  return { ...timings, spawningTimeoutSec, gracefulShutdownTimeoutSec, workerMaxLifetimeSec };
}
