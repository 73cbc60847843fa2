import type { Verdict } from "../contract/plan.ts";
import { hasPendingOrder } from "./fleet.ts";
import type { Observation } from "./observation.ts";

/** A verdict that stands on silence or standstill, and may be wrong. */
export interface Suspicion {
  readonly worker: string;
  /** The last sign that contradicts it. */
  readonly sinceMs: number;
  readonly verdict: Verdict;
}

export interface Restrained {
  readonly verdicts: readonly Suspicion[];
  /** Why the others wait, if any do. */
  readonly held: string | null;
}

/** Suspicions end at most half of a fleet, or one worker, in five minutes; the oldest evidence comes first. */
export function withinBlastRadius(observation: Observation, suspicions: readonly Suspicion[]): Restrained {
  const { limit, used } = blastRadius(observation);
  const oldestFirst = [...suspicions].sort((a, b) => a.sinceMs - b.sinceMs);
  const verdicts = oldestFirst.slice(0, Math.max(0, limit - used));
  const waiting = suspicions.length - verdicts.length;
  const held = `blast radius: ${waiting} suspected ${waiting === 1 ? "waits" : "wait"}, at most ${limit} end in five minutes`;
  return { verdicts, held: waiting === 0 ? null : held };
}

/** Of five minutes: how many suspicions may end a worker, and how many did or are about to. */
function blastRadius({ fleet, failedRecently, nowMs }: Observation): { limit: number; used: number } {
  const own = fleet.filter(({ origin }) => origin === "pool");
  const living = own.filter(
    ({ status, task }) => status === "spawning" || status === "active" || (status === "terminating" && task !== null),
  );
  // A verdict that is still on its way is in no count of the database yet.
  const underWay = living.filter((worker) => worker.signal === "fail" && hasPendingOrder(worker, nowMs));
  const base = living.length + failedRecently;
  return { limit: Math.max(1, Math.floor(base / 2)), used: failedRecently + underWay.length };
}
