import type { Rule } from "../contract/plan.ts";
import type { Fleet } from "./fleet.ts";
import type { Observation } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

/** Something that lets no more than `room` workers be spawned by one decision. */
export interface Bound {
  readonly rule: Rule;
  readonly room: number;
  readonly reason: string;
}

export interface Narrowed {
  readonly count: number;
  /** Of the bound that had the last word; null: none was met. */
  readonly rule: Rule | null;
  /** The bounds that were met, each with what it made of the count. */
  readonly told: string;
}

/** Leaves of a count what all bounds allow, taken in their order. */
export function narrow(count: number, bounds: readonly Bound[]): Narrowed {
  return bounds.reduce<Narrowed>(
    (left, { rule, room, reason }) => {
      const count = Math.min(left.count, Math.max(0, room));
      return count === left.count ? left : { count, rule, told: `${left.told}; ${reason}: ${left.count} → ${count}` };
    },
    { count, rule: null, told: "" },
  );
}

/** A pace, not a size: what it holds back comes in the next minute. */
export function launchRateBound(settings: PolicySettings, { launchedLastMinute }: Observation): Bound {
  return {
    rule: "launch_rate",
    room: settings.maxLaunchesPerMinute - launchedLastMinute,
    reason: `MAX_LAUNCHES_PER_MINUTE ${settings.maxLaunchesPerMinute}, ${launchedLastMinute} in the last one`,
  };
}

/** Who was told to leave keeps its place under MAX until its row shows it: a reservation counts it as well. */
export function leavingBound({ maxActiveGpus: max }: PolicySettings, fleet: Fleet): Bound {
  const { spawning, idle, busy, leaving } = fleet;
  const booked = [...spawning, ...idle, ...busy, ...leaving].filter(({ origin }) => origin === "pool");
  return {
    rule: "max",
    room: max - booked.length,
    reason: `MAX ${max}, ${booked.length} still there, ${leaving.length} of them told to leave`,
  };
}
