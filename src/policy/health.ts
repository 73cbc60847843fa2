import type { Verdict } from "../contract/worker-api.ts";
import { hasPendingOrder } from "./fleet.ts";
import type { Observation, ObservedWorker } from "./observation.ts";
import { type Suspicion, withinBlastRadius } from "./restraint.ts";
import type { PolicySettings } from "./settings.ts";
import { isSick, sickVerdict } from "./sick.ts";
import { isLate, isSilent, massLateness, silentMs } from "./silence.ts";

const ENDED_POD = new Set(["EXITED", "ERROR", "TERMINATED"]);

export interface HealthVerdict {
  readonly worker: string;
  readonly verdict: Verdict;
}

export interface Health {
  readonly verdicts: readonly HealthVerdict[];
  /** Why some verdicts are held back; null: no verdict is held back. */
  readonly suspended: string | null;
}

/**
 * The workers that must be ended, each with its evidence in words. Heartbeat, progress and the provider's list are
 * separate clocks. The provider's list and the worker's own report are proof. The others give suspicions, which are held
 * back when they are many.
 */
export function judgeHealth(settings: PolicySettings, observation: Observation): Health {
  const judged = observation.fleet.filter((worker) => isJudged(worker, observation.nowMs));
  const lateness = massLateness(settings, observation);
  const proven: HealthVerdict[] = [];
  const suspicions: Suspicion[] = [];
  const unheard: Suspicion[] = [];
  for (const worker of judged) {
    const ended = judgePod(worker) ?? judgeReport(worker);
    if (ended !== null) {
      proven.push({ worker: worker.id, verdict: ended });
    } else {
      // A worker whose heartbeats do not arrive cannot report progress either.
      const isHeldBack = lateness !== null && isLate(settings, observation, worker);
      (isHeldBack ? unheard : suspicions).push(...suspect(settings, observation, worker));
    }
  }
  const { verdicts, held } = withinBlastRadius(observation, suspicions);
  const reasons = [unheard.length === 0 ? null : lateness, held].filter((reason) => reason !== null);
  return { verdicts: [...proven, ...verdicts], suspended: reasons.length === 0 ? null : reasons.join("; ") };
}

function isJudged(worker: ObservedWorker, nowMs: number): boolean {
  if (worker.status === "error" || worker.status === "terminated" || worker.origin === "external") {
    return false;
  }
  // A drained worker without a task leaves by itself; one that holds a task is judged.
  if (worker.status === "terminating" && worker.task === null) {
    return false;
  }
  return worker.signal === "drain" || !hasPendingOrder(worker, nowMs);
}

function judgePod(worker: ObservedWorker): Verdict | null {
  if (worker.pod?.kind === "absent") {
    const reason = `pod ${worker.podId} vanished: two complete lists of the provider in a row lack it`;
    return { evidence: "provider", leaseCause: "host_lost", reason, heartbeatMs: null };
  }
  if (worker.pod?.kind === "listed" && ENDED_POD.has(worker.pod.status)) {
    const reason = `pod ${worker.podId} is ${worker.pod.status} at the provider`;
    return { evidence: "provider", leaseCause: "worker_died", reason, heartbeatMs: null };
  }
  return null;
}

/** The worker's own word is proof: claims refuse it already, so to hold the verdict back would only cost money. */
function judgeReport({ brokenReason }: ObservedWorker): Verdict | null {
  return brokenReason
    ? { evidence: "report", leaseCause: "worker_died", reason: brokenReason, heartbeatMs: null }
    : null;
}

/** External workers are not ended, but those that are broken or sick get no further task. */
export function judgeExternal(settings: PolicySettings, observation: Observation): HealthVerdict[] {
  return observation.fleet.flatMap((worker) => {
    if (worker.origin !== "external" || (worker.status !== "active" && worker.status !== "spawning")) {
      return [];
    }
    const verdict =
      judgeReport(worker) ?? (isSick(settings, observation, worker) ? sickVerdict(settings, worker) : null);
    return verdict === null ? [] : [{ worker: worker.id, verdict }];
  });
}

function suspect(settings: PolicySettings, observation: Observation, worker: ObservedWorker): Suspicion[] {
  if (isSilent(settings, observation, worker)) {
    return [suspectSilence(settings, observation, worker)];
  }
  return isSick(settings, observation, worker)
    ? [{ worker: worker.id, sinceMs: worker.failedRun.sinceMs, verdict: sickVerdict(settings, worker) }]
    : suspectStandstill(settings, observation, worker);
}

function suspectSilence(settings: PolicySettings, observation: Observation, worker: ObservedWorker): Suspicion {
  const silent = seconds(silentMs(observation, worker));
  const reason = `no heartbeat for ${silent} (GPU_IDLE_TIMEOUT_SEC ${settings.gpuIdleTimeoutSec})`;
  const { heartbeatMs } = worker;
  return {
    worker: worker.id,
    sinceMs: heartbeatMs ?? 0,
    verdict: { evidence: "heartbeat", leaseCause: "worker_died", reason, heartbeatMs },
  };
}

function suspectStandstill(settings: PolicySettings, observation: Observation, worker: ObservedWorker): Suspicion[] {
  const stuck = stuckTask(settings, observation, worker);
  if (stuck === null) {
    return [];
  }
  const { id, sinceMs, progressMs, limitSec } = stuck;
  const reason = `task ${id} made no progress for ${seconds(observation.nowMs - sinceMs)} (stuck after ${limitSec} s)`;
  const verdict: Verdict = { evidence: "progress", leaseCause: "stuck", reason, heartbeatMs: null, progressMs };
  return [{ worker: worker.id, sinceMs, verdict }];
}

interface StuckTask {
  readonly id: string;
  readonly sinceMs: number;
  readonly progressMs: number;
  readonly limitSec: number;
}

/** The worker's task, if it made no progress for longer than it may. */
export function stuckTask(
  settings: PolicySettings,
  { nowMs, observingSinceMs }: Observation,
  { task }: ObservedWorker,
): StuckTask | null {
  if (task === null) {
    return null;
  }
  const limitSec = task.stuckTimeoutSec ?? settings.taskStuckTimeoutSec;
  const progressMs = task.progressMs ?? task.startedMs;
  // Progress cannot be seen while observations fail, so that time does not count.
  const sinceMs = Math.max(progressMs, observingSinceMs);
  return nowMs - sinceMs <= limitSec * 1000 ? null : { id: task.id, sinceMs, progressMs, limitSec };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
