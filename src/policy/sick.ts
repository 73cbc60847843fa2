import type { Verdict } from "../contract/worker-api.ts";
import type { FailedRun, Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

type FailingWorker = ObservedWorker & { readonly failedRun: FailedRun };

/**
 * A worker is sick if it fails every task while another worker completes tasks of the same types. If nobody completes
 * them, the tasks or the image may be at fault, and no worker is ended for it.
 */
export function isSick(
  settings: PolicySettings,
  observation: Observation,
  worker: ObservedWorker,
): worker is FailingWorker {
  if (!isFailing(settings, worker)) {
    return false;
  }
  const { sinceMs, othersCompletedMs } = worker.failedRun;
  const provenFromMs = Math.min(sinceMs, observation.nowMs - minutes(settings.sickWorkerProofMinutes));
  return othersCompletedMs !== null && othersCompletedMs >= provenFromMs;
}

/** What the worker holds goes back uncounted, like the tasks that it failed. */
export function sickVerdict(settings: PolicySettings, { failedRun }: FailingWorker): Verdict {
  const others = "another worker completes tasks of the same types";
  return {
    evidence: "failures",
    leaseCause: "host_lost",
    reason: `it is sick: it failed ${inARow(settings, failedRun.tasks)}, and ${others}`,
    heartbeatMs: null,
    failedSinceMs: failedRun.sinceMs,
  };
}

export interface SickAlert {
  readonly kind: "worker_sick";
  /** The worker. */
  readonly subject: string;
  readonly message: string;
}

/** The workers that fail every task while no other worker completes such tasks: a person has to look. */
export function sickAlone(settings: PolicySettings, observation: Observation): SickAlert[] {
  return observation.fleet
    .filter((worker) => worker.status === "active")
    .filter((worker) => isFailing(settings, worker) && !isSick(settings, observation, worker))
    .map(({ id }) => {
      const run = `it failed at least ${inARow(settings, settings.sickWorkerMinTasks)}`;
      return { kind: "worker_sick", subject: id, message: `${run}, and no other worker completes such tasks` };
    });
}

function isFailing(settings: PolicySettings, worker: ObservedWorker): worker is FailingWorker {
  return !!worker.failedRun && worker.failedRun.tasks >= settings.sickWorkerMinTasks;
}

function inARow({ sickWorkerWindowMinutes: within }: PolicySettings, tasks: number): string {
  return `${tasks} different ${tasks === 1 ? "task" : "tasks"} in a row within ${within} min`;
}

function minutes(count: number): number {
  return count * 60_000;
}
