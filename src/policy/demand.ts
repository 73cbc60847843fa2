import type { Rule } from "../contract/plan.ts";
import type { Fleet } from "./fleet.ts";
import { drainableIdle, wasJustBusy } from "./idle-drain.ts";
import { wantedByLatency } from "./latency/latency.ts";
import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";
import { type Wanted, wantedByThreshold } from "./threshold.ts";
import { wantedByWorkload } from "./workload.ts";

/** A pool size within MAX, before the other bounds limit the growth. */
export interface Size {
  readonly size: number;
  readonly rule: Rule;
  readonly reason: string;
  /** How MAX lowered the size, in words; empty: it did not. */
  readonly capped: string;
  readonly drain: readonly ObservedWorker[];
  readonly onlyIdle: boolean;
}

/**
 * min(MAX, max(MIN, busy + idle buffer, what the policy wants)). The pool grows to the size that the policy wants, and
 * shrinks to the size that the policy keeps. A pool between the two stays as it is.
 */
export function demandedSize(settings: PolicySettings, observation: Observation, fleet: Fleet): Size {
  const { minActiveGpus: min, maxActiveGpus: max } = settings;
  const { wanted, keepWith, restSec } = demandBy(settings, observation, fleet);
  const buffered = fleet.busy.length + settings.machinesToKeepIdle;
  const floor = Math.max(min, buffered);
  const uncapped = Math.max(floor, wanted.size);
  const grown = Math.min(max, uncapped);
  const kept = Math.min(max, Math.max(floor, wanted.keep));
  // A worker that was busy a moment ago counts as busy. Otherwise every short pause would drain the idle buffer, and the
  // next task would spawn it again.
  const working = fleet.busy.length + fleet.idle.filter((worker) => wasJustBusy(restSec, observation, worker)).length;
  const soon = Math.max(min, working + settings.machinesToKeepIdle, keepWith(working));
  // Only ready workers count towards what stays: a booting worker may never become ready.
  const surplus = Math.max(0, fleet.idle.length + fleet.busy.length - Math.min(max, soon));
  return {
    size: Math.max(grown, Math.min(fleet.present, kept)),
    rule: uncapped > max ? "max" : winner(),
    reason: explain(),
    capped: uncapped > max ? `; capped by MAX ${max}: ${uncapped} → ${max}` : "",
    drain: drainableIdle(settings, restSec, observation, fleet.idle).slice(0, surplus),
    onlyIdle: true,
  };

  function winner(): Rule {
    if (wanted.size >= floor) {
      return settings.policy;
    }
    return min >= buffered ? "min" : "idle_buffer";
  }

  function explain(): string {
    const steps = [wanted.reason];
    const { length: spawning } = fleet.spawning;
    if (spawning > 0) {
      steps.push(`${spawning} spawning ${spawning === 1 ? "counts" : "count"}`);
    }
    if (floor > wanted.size) {
      const buffer = `${fleet.busy.length} busy + ${settings.machinesToKeepIdle} to keep idle → ${buffered}`;
      steps.push(min >= buffered ? `MIN_ACTIVE_GPUS ${min}` : buffer);
    }
    return steps.join(", ");
  }
}

/** What the policy wants, and when a worker without a task may leave. */
interface Demand {
  readonly wanted: Wanted;
  /** @param working how many workers count as having a task. */
  readonly keepWith: (working: number) => number;
  readonly restSec: number;
}

function demandBy(settings: PolicySettings, observation: Observation, fleet: Fleet): Demand {
  const { queued } = observation;
  const { scaleDownIdleSec: restSec } = settings;
  switch (settings.policy) {
    case "threshold": {
      const wanted = wantedByThreshold(queued, fleet.present, settings.tasksPerGpuThreshold);
      return { wanted, keepWith: () => wanted.keep, restSec };
    }
    case "workload": {
      const by = (working: number) => wantedByWorkload(queued, working, settings);
      return { wanted: by(fleet.busy.length), keepWith: (working) => by(working).keep, restSec };
    }
    case "latency": {
      const wanted = wantedByLatency(settings, observation, fleet);
      return { wanted, keepWith: () => wanted.keep, restSec: wanted.restSec };
    }
  }
}
