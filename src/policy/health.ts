import type { Verdict } from "../contract/plan.ts";
import { hasPendingOrder } from "./fleet.ts";
import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

const ENDED_POD = new Set(["EXITED", "ERROR", "TERMINATED"]);

export interface HealthVerdict {
  readonly worker: string;
  readonly verdict: Verdict;
}

/** Who must be ended, each with its evidence in words. Heartbeat, progress and the provider's list are separate clocks. */
export function judgeHealth(settings: PolicySettings, observation: Observation): HealthVerdict[] {
  return observation.fleet.flatMap((worker) => {
    if (worker.status === "error" || worker.status === "terminated" || worker.origin === "external") {
      return [];
    }
    const pendingFail = worker.signal === "fail" && hasPendingOrder(worker, observation.nowMs);
    const verdict = pendingFail ? null : judge(settings, observation, worker);
    return verdict === null ? [] : [{ worker: worker.id, verdict }];
  });
}

function judge(settings: PolicySettings, observation: Observation, worker: ObservedWorker): Verdict | null {
  // A drained worker leaves by itself: only one that still holds a task is missed.
  if (worker.status === "terminating" && worker.task === null) {
    return null;
  }
  return (
    judgePod(worker) ?? judgeHeartbeat(settings, observation, worker) ?? judgeProgress(settings, observation, worker)
  );
}

function judgePod(worker: ObservedWorker): Verdict | null {
  if (worker.pod?.kind === "absent") {
    const reason = `pod ${worker.podId} vanished: two complete lists of the provider in a row lack it`;
    return { leaseCause: "host_lost", reason, heartbeatMs: null };
  }
  if (worker.pod?.kind === "listed" && ENDED_POD.has(worker.pod.status)) {
    const reason = `pod ${worker.podId} is ${worker.pod.status} at the provider`;
    return { leaseCause: "worker_died", reason, heartbeatMs: null };
  }
  return null;
}

function judgeHeartbeat(settings: PolicySettings, observation: Observation, worker: ObservedWorker): Verdict | null {
  if (worker.status === "spawning" || worker.heartbeatMs === null) {
    return null;
  }
  const silentMs = observation.nowMs - Math.max(worker.heartbeatMs, observation.observingSinceMs);
  if (silentMs <= settings.gpuIdleTimeoutSec * 1000) {
    return null;
  }
  const reason = `no heartbeat for ${seconds(silentMs)} (GPU_IDLE_TIMEOUT_SEC ${settings.gpuIdleTimeoutSec})`;
  return { leaseCause: "worker_died", reason, heartbeatMs: worker.heartbeatMs };
}

function judgeProgress(settings: PolicySettings, observation: Observation, worker: ObservedWorker): Verdict | null {
  if (worker.task === null) {
    return null;
  }
  const limitSec = worker.task.stuckTimeoutSec ?? settings.taskStuckTimeoutSec;
  const stillMs = observation.nowMs - (worker.task.progressMs ?? worker.task.startedMs);
  if (stillMs <= limitSec * 1000) {
    return null;
  }
  const reason = `task ${worker.task.id} made no progress for ${seconds(stillMs)} (stuck after ${limitSec} s)`;
  return { leaseCause: "stuck", reason, heartbeatMs: null };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
