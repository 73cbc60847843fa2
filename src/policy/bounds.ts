import type { Rule } from "../contract/plan.ts";
import type { Fleet } from "./fleet.ts";
import type { Observation } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

/** A limit on how many workers one decision may spawn. */
export interface Bound {
  readonly rule: Rule;
  readonly room: number;
  readonly reason: string;
}

export interface Narrowed {
  readonly count: number;
  /** The rule of the last bound that lowered the count; null: no bound did. */
  readonly rule: Rule | null;
  /** The bounds that lowered the count, each with the count before and after; empty: none did. */
  readonly effects: string;
}

/** Lowers a count to what all bounds allow, one bound after the other. */
export function narrow(count: number, bounds: readonly Bound[]): Narrowed {
  return bounds.reduce<Narrowed>(
    (left, { rule, room, reason }) => {
      const count = Math.min(left.count, Math.max(0, room));
      return count === left.count
        ? left
        : { count, rule, effects: `${left.effects}; ${reason}: ${left.count} → ${count}` };
    },
    { count, rule: null, effects: "" },
  );
}

/** While there is no place for a pod, one worker waits for it, and asks again from time to time. */
export function placeBounds({ noPlace }: Observation, { spawning }: Fleet): Bound[] {
  if (noPlace === null) {
    return [];
  }
  const waiting = spawning.filter(({ podId }) => podId === null).length;
  const since = `${new Date(noPlace.sinceMs).toISOString().slice(0, 19)}Z`;
  return [{ rule: "placement", room: 1 - waiting, reason: `no place for a pod since ${since}, one worker asks again` }];
}

/** Limits the pace, not the size: a launch that it holds back comes in the next minute. */
export function launchRateBound(settings: PolicySettings, { launchedLastMinute }: Observation): Bound {
  return {
    rule: "launch_rate",
    room: settings.maxLaunchesPerMinute - launchedLastMinute,
    reason: `MAX_LAUNCHES_PER_MINUTE ${settings.maxLaunchesPerMinute}, ${launchedLastMinute} in the last one`,
  };
}

/** A worker that was ordered to leave counts towards MAX until its row shows it, because a reservation counts it too. */
export function leavingBound({ maxActiveGpus: max }: PolicySettings, fleet: Fleet): Bound {
  const { spawning, idle, busy, leaving } = fleet;
  const booked = [...spawning, ...idle, ...busy, ...leaving].filter(({ origin }) => origin === "pool");
  return {
    rule: "max",
    room: max - booked.length,
    reason: `MAX ${max}, ${booked.length} still there, ${leaving.length} of them leaving`,
  };
}
