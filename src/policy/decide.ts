import type { Action, Snapshot, WorkerAction } from "../contract/plan.ts";
import { type Fleet, isCapacity, sortFleet } from "./fleet.ts";
import { judgeHealth } from "./health.ts";
import type { Observation } from "./observation.ts";
import { scale } from "./scale.ts";
import type { PolicySettings } from "./settings.ts";

export interface Decision {
  readonly actions: readonly Action[];
  readonly snapshot: Snapshot;
}

/** What to do about one observation. Pure: the same observation gives the same decision. */
export function decide(settings: PolicySettings, seen: Observation): Decision {
  const observation = { ...seen, fleet: seen.fleet.filter((worker) => isCapacity(settings, seen, worker)) };
  const verdicts = judgeHealth(settings, observation);
  const fleet = sortFleet(observation, new Set(verdicts.map(({ worker }) => worker)));
  const scaling = scale(settings, observation, fleet);

  const actions: Action[] = [
    ...verdicts.map(({ worker, verdict }): Action => ({ kind: "signal", worker, signal: { name: "fail", verdict } })),
    ...announcements(
      observation,
      new Set([...verdicts.map(({ worker }) => worker), ...scaling.drain.map(({ id }) => id)]),
    ),
    ...scaling.drain.map(({ id }): Action => {
      const order = { reason: scaling.reason, onlyIdle: scaling.onlyIdle };
      return { kind: "signal", worker: id, signal: { name: "drain", order } };
    }),
  ];
  if (scaling.spawn > 0) {
    actions.push({
      kind: "spawn",
      count: scaling.spawn,
      max: settings.maxActiveGpus,
      intentVersion: observation.intent.version,
      reason: scaling.reason,
    });
  }
  return { actions, snapshot: summarise(observation, fleet, scaling.desired, scaling.reason) };
}

/** News for the workers' own workflows: the first sign of life, and the end of a drained worker's last task. */
function announcements(observation: Observation, ordered: ReadonlySet<string>): WorkerAction[] {
  return observation.fleet.flatMap((worker): WorkerAction[] => {
    // Nobody else's machine has a workflow to tell.
    if (ordered.has(worker.id) || worker.origin === "external") {
      return [];
    }
    if (worker.status === "active" && worker.signal === null) {
      return [{ kind: "signal", worker: worker.id, signal: { name: "ready" } }];
    }
    if (worker.status === "terminating" && worker.task === null && worker.signal !== "released") {
      return [{ kind: "signal", worker: worker.id, signal: { name: "released" } }];
    }
    return [];
  });
}

function summarise(observation: Observation, fleet: Fleet, desired: number, reason: string): Snapshot {
  return {
    observedAt: new Date(observation.nowMs).toISOString(),
    intent: observation.intent,
    desired,
    queued: observation.queued,
    spawning: fleet.spawning.length,
    idle: fleet.idle.length,
    busy: fleet.busy.length,
    terminating: fleet.terminating.length + fleet.leaving.length,
    failing: fleet.failing.length,
    costPerHourUsd: round(observation.fleet.reduce((sum, worker) => sum + (worker.costPerHourUsd ?? 0), 0)),
    reason,
  };
}

function round(usd: number): number {
  return Math.round(usd * 10_000) / 10_000;
}
