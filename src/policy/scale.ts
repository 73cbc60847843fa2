import type { BreakerState, Rule } from "../contract/plan.ts";
import { launchRateBound, leavingBound, narrow } from "./bounds.ts";
import { breakerBounds } from "./breaker.ts";
import { budgetBounds } from "./budget.ts";
import { demandedSize, type Size } from "./demand.ts";
import { type Fleet, newestFirst } from "./fleet.ts";
import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

export interface Scaling {
  readonly desired: number;
  readonly rule: Rule;
  readonly reason: string;
  readonly spawn: number;
  /** Who is drained; onlyIdle: let be if it claimed a task in the meantime. */
  readonly drain: readonly ObservedWorker[];
  readonly onlyIdle: boolean;
}

/**
 * How large the pool should be, who is added, and who leaves. Health and evictions are decided before.
 * @param breaker its state for this decision.
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
  const wanted = hold === null ? demandedSize(settings, observation, fleet) : heldSize(settings, fleet, hold);
  return bounded(settings, observation, fleet, breaker, wanted);
}

/** An operator's size in place of the policy's: surplus leaves at once. */
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

/** Spawning ones first, then idle ones, then busy ones after their task. */
function surplus(fleet: Fleet, size: number): ObservedWorker[] {
  const leaving = [...newestFirst(fleet.spawning), ...newestFirst(fleet.idle), ...newestFirst(fleet.busy)];
  return leaving.slice(0, Math.max(0, fleet.present - size));
}

/** What the bounds leave of the growth. Leaving workers and the launch rate only delay: they change no desired size. */
function bounded(
  settings: PolicySettings,
  observation: Observation,
  fleet: Fleet,
  breaker: BreakerState,
  wanted: Size,
): Scaling {
  const growth = Math.max(0, wanted.size - fleet.present);
  const allowed = narrow(growth, [...budgetBounds(settings, observation), ...breakerBounds(breaker, observation)]);
  const paced = narrow(allowed.count, [leavingBound(settings, fleet), launchRateBound(settings, observation)]);
  const { drain, onlyIdle } = wanted;
  return {
    desired: wanted.size - growth + allowed.count,
    rule: paced.rule ?? allowed.rule ?? wanted.rule,
    reason: `${wanted.reason} → ${effect(paced.count, drain.length, onlyIdle)}${wanted.capped}${allowed.told}${paced.told}`,
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
