import type { PoolSettings } from "../contract/pool-settings.ts";
import { type Arrival, workSec } from "./arrivals.ts";
import { type Bounds, boundsOf } from "./bounds.ts";
import type { Outcome } from "./outcome.ts";
import { simulate } from "./simulate.ts";
import { sizingOf } from "./sizing.ts";
import type { Circumstances } from "./world.ts";

/** Settings that all candidates share; each has its own interval between two looks. */
export type Surroundings = Omit<Circumstances, "watchIntervalMs">;

export interface Candidate {
  /** How people call it: what was set. */
  readonly label: string;
  readonly settings: PoolSettings;
}

export interface Compared extends Candidate {
  readonly outcome: Outcome;
  /** Its GPU time as a multiple of the least for which no task waits; null: there were no tasks. */
  readonly ratio: number | null;
  readonly usd: number | null;
}

export interface Comparison {
  readonly tasks: number;
  /** Seconds of all tasks together. */
  readonly workSec: number;
  /** Begin and end of the compared time, ms since epoch; null: they are not given, and nothing arrived. */
  readonly fromMs: number | null;
  readonly toMs: number | null;
  readonly circumstances: Surroundings;
  readonly bounds: Bounds;
  readonly results: readonly Compared[];
}

/** @param onProgress is told which candidate is simulated, and which share of its tasks is served. */
export function compare(
  candidates: readonly Candidate[],
  arrivals: readonly Arrival[],
  circumstances: Surroundings,
  onProgress: (candidate: Candidate, share: number) => void = () => undefined,
): Comparison {
  const bounds = boundsOf(arrivals, circumstances.bootSec);
  const results = candidates.map((candidate): Compared => {
    const { watchIntervalMs } = candidate.settings;
    const told = (share: number) => onProgress(candidate, share);
    const outcome = simulate(sizingOf(candidate.settings), arrivals, { ...circumstances, watchIntervalMs }, told);
    const { priceUsd } = circumstances;
    return {
      ...candidate,
      outcome,
      ratio: bounds.noWaitSec === 0 ? null : outcome.gpuSec / bounds.noWaitSec,
      usd: priceUsd === null ? null : usdOf(outcome.gpuSec, priceUsd),
    };
  });
  return {
    tasks: arrivals.length,
    workSec: workSec(arrivals),
    fromMs: circumstances.fromMs ?? arrivals[0]?.atMs ?? null,
    toMs: circumstances.toMs ?? arrivals.at(-1)?.atMs ?? null,
    circumstances,
    bounds,
    results,
  };
}

export function usdOf(gpuSec: number, priceUsd: number): number {
  return Math.round((gpuSec / 3600) * priceUsd * 100) / 100;
}
