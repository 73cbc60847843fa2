import type { BreakerState, Rule } from "../contract/plan.ts";
import { launchRateBound, leavingBound, narrow, placeBounds } from "./bounds.ts";
import { breakerBounds } from "./breaker.ts";
import { budgetBounds } from "./budget.ts";
import { demandedSize, type Size } from "./demand.ts";
import { fundsBounds } from "./funds.ts";
import { type Fleet, newestFirst } from "./fleet.ts";
import { drainableIdle, longestIdleFirst } from "./idle-drain.ts";
import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

export interface Scaling {
  readonly desired: number;
  readonly rule: Rule;
  readonly reason: string;
  readonly spawn: number;
  readonly drain: readonly ObservedWorker[];
  /** The drain is dropped for a worker that has claimed a task in the meantime. */
  readonly onlyIdle: boolean;
}

/**
 * Decides how large the pool should be, how many workers are spawned and which ones are drained. Health and evictions
 * are decided before.
 * @param breaker the breaker's state for this decision.
 */
export function scale(
  settings: PolicySettings,
  observation: Observation,
  fleet: Fleet,
  breaker: BreakerState,
): Scaling {
  const { mode, hold } = observation.intent;
  if (mode === "paused") {
    const reason = "paused: no scaling either way";
    return { desired: fleet.present, rule: mode, reason, spawn: 0, drain: [], onlyIdle: true };
  }
  if (mode === "draining" || mode === "closing") {
    const reason = `${mode}: to zero gracefully`;
    return { desired: 0, rule: mode, reason, spawn: 0, drain: surplus(fleet, 0), onlyIdle: false };
  }
  if (hold !== null) {
    return bounded(settings, observation, fleet, breaker, heldSize(settings, fleet, hold));
  }
  const { fit, unfit } = byAbility(observation, fleet);
  const own = unfit.filter(({ origin }) => origin === "pool").length;
  // Until they have left, they take places of MAX.
  const forFit = own === 0 ? settings : { ...settings, maxActiveGpus: Math.max(0, settings.maxActiveGpus - own) };
  const scaling = bounded(forFit, observation, fit, breaker, demandedSize(forFit, observation, fit));
  return unfit.length === 0 ? scaling : withUnfit(settings, observation, scaling, unfit);
}

/** Idle workers that can do nothing of what is queued are no capacity for it. */
function byAbility({ unfit: ids = [] }: Observation, fleet: Fleet): { fit: Fleet; unfit: readonly ObservedWorker[] } {
  const unable = new Set(ids);
  const unfit = fleet.idle.filter(({ id }) => unable.has(id));
  const idle = fleet.idle.filter(({ id }) => !unable.has(id));
  return { fit: { ...fleet, idle, present: fleet.present - unfit.length }, unfit };
}

function withUnfit(
  settings: PolicySettings,
  observation: Observation,
  scaling: Scaling,
  unfit: readonly ObservedWorker[],
): Scaling {
  const leaving = drainableIdle(settings, settings.scaleDownIdleSec, observation, unfit);
  const ends = leaving.length === 0 ? "" : `, drain ${leaving.length} of them`;
  return {
    ...scaling,
    reason: `${scaling.reason}; ${unfit.length} idle can do nothing of what is queued and ${unfit.length === 1 ? "counts" : "count"} not${ends}`,
    drain: [...scaling.drain, ...leaving],
  };
}

/** The size that an operator holds the pool at. Surplus workers are drained at once, without an idle time. */
function heldSize({ maxActiveGpus: max }: PolicySettings, fleet: Fleet, hold: number): Size {
  const size = Math.min(max, hold);
  return {
    size,
    rule: "hold",
    reason: `held at ${hold} by an operator`,
    capped: size < hold ? `; capped by MAX ${max}: ${hold} → ${size}` : "",
    drain: surplus(fleet, size),
    onlyIdle: false,
  };
}

/** The workers above `size`: spawning ones first, then idle ones, the longest idle first, then busy ones after their task. */
function surplus(fleet: Fleet, size: number): ObservedWorker[] {
  const leaving = [...newestFirst(fleet.spawning), ...longestIdleFirst(fleet.idle), ...newestFirst(fleet.busy)];
  return leaving.slice(0, Math.max(0, fleet.present - size));
}

/** Limits the growth by all bounds. Leaving workers and the launch rate only delay it: the desired size stays. */
function bounded(
  settings: PolicySettings,
  observation: Observation,
  fleet: Fleet,
  breaker: BreakerState,
  wanted: Size,
): Scaling {
  const growth = Math.max(0, wanted.size - fleet.present);
  const allowed = narrow(growth, [
    ...fundsBounds(settings, observation),
    ...budgetBounds(settings, observation),
    ...breakerBounds(breaker, observation),
    ...placeBounds(observation, fleet),
  ]);
  const paced = narrow(allowed.count, [leavingBound(settings, fleet), launchRateBound(settings, observation)]);
  const { drain, onlyIdle } = wanted;
  const result = effect(paced.count, drain.length, onlyIdle);
  return {
    desired: wanted.size - growth + allowed.count,
    rule: paced.rule ?? allowed.rule ?? wanted.rule,
    reason: `${wanted.reason} → ${result}${wanted.capped}${allowed.effects}${paced.effects}`,
    spawn: paced.count,
    drain,
    onlyIdle,
  };
}

function effect(spawn: number, drain: number, onlyIdle: boolean): string {
  if (spawn > 0) {
    return `spawn ${spawn}`;
  }
  return drain > 0 ? `drain ${drain}${onlyIdle ? " idle" : ""}` : "stay";
}
