import type { Verdict } from "../contract/worker-api.ts";
import { hasPendingOrder } from "./fleet.ts";
import type { Observation } from "./observation.ts";

/** A verdict from missing heartbeats, missing progress or failed tasks; it may be wrong. */
export interface Suspicion {
  readonly worker: string;
  /** The worker's last sign of life or of progress, or the first of its failures. */
  readonly sinceMs: number;
  readonly verdict: Verdict;
}

export interface Restrained {
  readonly verdicts: readonly Suspicion[];
  /** Why the other verdicts are held back; null: no verdict is held back. */
  readonly held: string | null;
}

/** Suspicions end at most half of the fleet (but always one worker) in five minutes. The oldest evidence comes first. */
export function withinBlastRadius(observation: Observation, suspicions: readonly Suspicion[]): Restrained {
  const { limit, used } = blastRadius(observation);
  const oldestFirst = [...suspicions].sort((a, b) => a.sinceMs - b.sinceMs);
  const verdicts = oldestFirst.slice(0, Math.max(0, limit - used));
  const waiting = suspicions.length - verdicts.length;
  const held = `blast radius: ${waiting} suspected ${waiting === 1 ? "waits" : "wait"}, at most ${limit} end in five minutes`;
  return { verdicts, held: waiting === 0 ? null : held };
}

/** How many workers may be ended on suspicion in five minutes, and how many were or are about to be. */
function blastRadius({ fleet, failedRecently, nowMs }: Observation): { limit: number; used: number } {
  const own = fleet.filter(({ origin }) => origin === "pool");
  const living = own.filter(
    ({ status, task }) => status === "spawning" || status === "active" || (status === "terminating" && task !== null),
  );
  // The database does not count a verdict that was signalled but not carried out yet.
  const underWay = living.filter((worker) => worker.signal === "fail" && hasPendingOrder(worker, nowMs));
  const base = living.length + failedRecently;
  return { limit: Math.max(1, Math.floor(base / 2)), used: failedRecently + underWay.length };
}
