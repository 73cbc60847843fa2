import { type Config, settingsInForce } from "../config.ts";
import type { WorkerActivities } from "../contract/activities.ts";
import type { WorkerTimings } from "../contract/inputs.ts";
import type { WorkerStore } from "../supabase/worker-store.ts";

export interface WorkerDeps {
  readonly workers: WorkerStore;
  readonly config: Config;
}

/** A worker's row as its lifecycle workflow reads and writes it. */
export function createWorkerActivities({ workers, config }: WorkerDeps): WorkerActivities {
  const timings: WorkerTimings = { ...config.timeouts, ...config.provider };

  /** The pool's own, laid over those of this process. */
  function deadlines(own: Readonly<Record<string, unknown>>) {
    const settings = settingsInForce(config, {}, own);
    const { spawningTimeoutSec, gracefulShutdownTimeoutSec, workerMaxLifetimeSec } = settings;
    return { spawningTimeoutSec, gracefulShutdownTimeoutSec, workerMaxLifetimeSec };
  }

  return {
    async loadWorker(id) {
      const loaded = await workers.load(id);
      if (loaded === null) {
        return { row: null, timings };
      }
      const { config: own, ...row } = loaded;
      return { row, timings: { ...timings, ...deadlines(own) } };
    },
    async drainWorker(id, order) {
      return await workers.drain(id, order.reason, order.onlyIdle);
    },
    async failWorker(id, cause, reason, ground) {
      return await workers.fail(id, {
        cause,
        reason,
        evidence: ground.evidence ?? null,
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
