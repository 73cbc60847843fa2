import type { Action } from "../contract/plan.ts";
import type { Observation } from "../policy/observation.ts";

/** What sizes the simulated pool. */
export interface Sizing {
  /** Null: it takes nothing that was measured. */
  readonly measures: MeasuresWanted | null;
  /** The fewest workers that it ever keeps; the simulation ends when no more are left and every task is served. */
  readonly keeps: number;
  /** Whether it may act although nothing rests, waits or has happened. */
  readonly mindsTime: boolean;
  /** How often it looks while a worker rests or a task waits, although nothing happened. */
  readonly lookMs: number;
  decide(seen: Observation): readonly Action[];
}

export interface MeasuresWanted {
  /** From 0 to 100; null: it has no target wait. */
  readonly percentile: number | null;
  /** The next learnt WAIT_VALUE, when tasks have been claimed after these waits; null for a value: nothing was learnt yet. */
  readonly learn: ((waitValue: number | null, waitedSec: readonly number[]) => number | null) | null;
}

export interface Circumstances {
  readonly bootSec: number;
  /** Standard deviation of a boot time's logarithm; 0: every boot takes bootSec, which else is their median. */
  readonly bootSigma: number;
  readonly seed: number;
  /** Time between two looks at the database, ms. 0: what happens is seen at once. */
  readonly watchIntervalMs: number;
  /**
   * Which of the resting workers claims the next task. as_polled: the one that asks first, as with this project's GPU workers;
   * random: all ask equally often.
   */
  readonly claims: "as_polled" | "least_rested" | "random";
  /** USD an hour of one worker; null: costs are in seconds only. */
  readonly priceUsd: number | null;
  /** Workers are paid for from here on; left out: from the first arrival. */
  readonly fromMs?: number;
  /** At least until here; left out: until all tasks are served. */
  readonly toMs?: number;
}
