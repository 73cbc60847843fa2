import { type Fleet, idleSinceMs } from "./fleet.ts";
import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";
import { wantedByThreshold } from "./threshold.ts";

export interface Scaling {
  readonly desired: number;
  readonly reason: string;
  readonly spawn: number;
  /** Who is drained; onlyIdle: let be if it claimed a task in the meantime. */
  readonly drain: readonly ObservedWorker[];
  readonly onlyIdle: boolean;
}

/** How large the pool should be, who is added, and who leaves. Health is judged before. */
export function scale(settings: PolicySettings, observation: Observation, fleet: Fleet): Scaling {
  const { mode, hold } = observation.intent;
  if (mode === "paused") {
    return { desired: fleet.present, reason: "paused: no scaling either way", spawn: 0, drain: [], onlyIdle: true };
  }
  if (mode === "draining" || mode === "closing") {
    return surrender(0, `${mode}: to zero gracefully`, fleet);
  }
  if (hold !== null) {
    const desired = Math.min(settings.maxActiveGpus, hold);
    const capped = desired < hold ? `, capped by MAX ${settings.maxActiveGpus}` : "";
    return surrender(desired, `held at ${hold} by an operator${capped}`, fleet);
  }
  return followDemand(settings, observation, fleet);
}

/** An operator's size: surplus leaves at once, spawning first, then idle, then busy ones after their task. */
function surrender(desired: number, reason: string, fleet: Fleet): Scaling {
  const leaving = [...newestFirst(fleet.spawning), ...newestFirst(fleet.idle), ...newestFirst(fleet.busy)];
  return {
    desired,
    reason,
    spawn: Math.max(0, desired - fleet.present),
    drain: leaving.slice(0, Math.max(0, fleet.present - desired)),
    onlyIdle: false,
  };
}

function followDemand(settings: PolicySettings, observation: Observation, fleet: Fleet): Scaling {
  const { minActiveGpus: min, maxActiveGpus: max } = settings;
  const wanted = wantedByThreshold(observation.queued, fleet.present, settings.tasksPerGpuThreshold);
  const buffered = fleet.busy.length + settings.machinesToKeepIdle;
  const uncapped = Math.max(min, buffered, wanted.size);
  const desired = Math.min(max, uncapped);
  const spawn = Math.max(0, desired - fleet.present);
  // Only ready workers count towards what stays: one that still boots may never come.
  const surplus = fleet.idle.length + fleet.busy.length - desired;
  const drain = surplus > 0 ? restedLongest(settings, observation, fleet.idle).slice(0, surplus) : [];
  return { desired, reason: explain(), spawn, drain, onlyIdle: true };

  function explain(): string {
    const steps = [wanted.reason];
    if (fleet.spawning.length > 0) {
      steps.push(`${fleet.spawning.length} spawning ${fleet.spawning.length === 1 ? "counts" : "count"}`);
    }
    if (uncapped > wanted.size) {
      steps.push(
        min >= buffered
          ? `MIN_ACTIVE_GPUS ${min}`
          : `${fleet.busy.length} busy + ${settings.machinesToKeepIdle} to keep idle → ${buffered}`,
      );
    }
    const effect = spawn > 0 ? `spawn ${spawn}` : drain.length > 0 ? `drain ${drain.length} idle` : "stay";
    const cap = uncapped > max ? `; capped by MAX ${max}: ${uncapped} → ${max}` : "";
    return `${steps.join(", ")} → ${effect}${cap}`;
  }
}

function restedLongest(settings: PolicySettings, { nowMs }: Observation, idle: readonly ObservedWorker[]) {
  return idle
    .filter((worker) => worker.origin === "pool")
    .filter((worker) => nowMs - (worker.readyMs ?? nowMs) >= settings.workerGracePeriodSec * 1000)
    .filter((worker) => nowMs - idleSinceMs(worker) >= settings.scaleDownIdleSec * 1000)
    .sort((a, b) => idleSinceMs(a) - idleSinceMs(b));
}

function newestFirst(workers: readonly ObservedWorker[]): ObservedWorker[] {
  return workers.filter(({ origin }) => origin === "pool").sort((a, b) => b.createdMs - a.createdMs);
}
