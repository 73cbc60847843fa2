import type { Fleet } from "../fleet.ts";
import type { Observation } from "../observation.ts";
import type { PolicySettings } from "../settings.ts";
import type { Wanted } from "../threshold.ts";
import { normalQuantile } from "./normal.ts";
import { lookAhead, type Outlook } from "./outlook.ts";
import { type WaitValue, waitValueOf } from "./wait-value.ts";

/** Counts until a boot was measured. */
const FIRST_BOOT_SEC = 120;
const SHORTEST_BOOT_SEC = 1;
const LONGEST_BOOT_SEC = 86_400;
/** The share of a boot that the policy looks ahead. */
const AHEAD = 0.75;
/** The least reserve: a pool for which waiting is worth little stays this many standard deviations below the mean. */
const LEAST_RESERVE = -1;

export interface LatencyWanted extends Wanted {
  /** An idle worker beyond what is kept leaves when it has had no task for this long. */
  readonly restSec: number;
}

/**
 * Sizes the pool for the tasks that will be at work when a pod that is ordered now is ready, with as much reserve as the
 * waiting is worth. docs/policy.md has the formulas.
 */
export function wantedByLatency(settings: PolicySettings, observation: Observation, fleet: Fleet): LatencyWanted {
  const bootSec = bootSecOf(observation);
  const aheadSec = AHEAD * bootSec;
  const waitValue = waitValueOf(settings, observation, bootSec);
  const { value } = waitValue;
  const outlook = lookAhead(observation, fleet, { aheadSec, bootSec, waitValue: value });
  const hasTask = observation.queued > 0 || fleet.busy.length > 0;
  const grown = workersFor(outlook, Math.max(LEAST_RESERVE, normalQuantile(value / (value + 2))));
  const size = Math.max(hasTask ? 1 : 0, grown);
  const keep = Math.max(size, workersFor(outlook, normalQuantile((2 * value) / (2 * value + 1))));
  return {
    size,
    keep,
    reason: explain(observation, outlook, { size, keep }, waitValue, bootSec),
    restSec: ((bootSec / 2) * bootSec) / (bootSec + outlook.taskSec),
  };
}

/** The boot time that the policy counts with. */
export function bootSecOf(observation: Pick<Observation, "measured">): number {
  const sec = measuredBootSec(observation) ?? FIRST_BOOT_SEC;
  return Math.min(LONGEST_BOOT_SEC, Math.max(SHORTEST_BOOT_SEC, sec));
}

function measuredBootSec({ measured }: Pick<Observation, "measured">): number | null {
  const sec = measured?.bootSec ?? null;
  return sec !== null && sec > 0 ? sec : null;
}

function workersFor({ mean, variance, queueVariance }: Outlook, reserve: number): number {
  // The queue is known. That it takes an uncertain time is a reason for more workers, never for fewer.
  const spread = Math.sqrt(variance + (reserve > 0 ? queueVariance : 0));
  return Math.max(0, Math.round(mean + reserve * spread));
}

function explain(
  observation: Observation,
  { mean, variance, queueVariance, taskSec, isMeasured, arrivalsPerSec }: Outlook,
  { size, keep }: { readonly size: number; readonly keep: number },
  { words }: WaitValue,
  bootSec: number,
): string {
  if (mean + variance + keep === 0) {
    return "nothing queued, running or expected";
  }
  const spread = Math.sqrt(variance + queueVariance);
  const kept = keep > size ? `, up to ${keep} kept` : "";
  const boots = `boots ${seconds(bootSec)}${measuredBootSec(observation) === null ? " until measured" : ""}`;
  const tasks = `tasks ${seconds(taskSec)}${isMeasured ? "" : " until measured"}`;
  return [
    `${mean.toFixed(1)} ± ${spread.toFixed(1)} at work in ${seconds(AHEAD * bootSec)} → ${size} wanted${kept}`,
    `, at ${words} (${boots}, ${tasks}, ${Math.round(arrivalsPerSec * 3600)} an hour)`,
  ].join("");
}

function seconds(sec: number): string {
  return `${sec < 10 ? Number(sec.toFixed(1)) : Math.round(sec)} s`;
}
