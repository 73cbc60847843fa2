/*
 * Computes from samples what the database computes in SQL, in the same words: for virtual time and for tests. What both
 * say must be equal.
 */

/** Boots, service times and starts that the figures are made of. */
export const SAMPLES = { boots: 20, services: 400, starts: 400, enoughServices: 20, enoughStarts: 20 } as const;
const QUANTILES = 21;
/** Arrivals of so many windows count; the weight of older ones is below a quarter of a percent. */
export const RATE_WINDOWS = 6;

/** The quantile at `p` (0 to 1) of values in ascending order, interpolated as percentile_cont does; null: no values. */
export function quantile(ascending: readonly number[], p: number): number | null {
  const at = p * (ascending.length - 1);
  const [low, high] = [ascending[Math.floor(at)], ascending[Math.ceil(at)]];
  return low === undefined || high === undefined ? null : low + (high - low) * (at - Math.floor(at));
}

/** Median of the last 20 boots; null: none. */
export function bootSecOf(bootsSec: readonly number[]): number | null {
  return quantile(ascending(bootsSec.slice(-SAMPLES.boots)), 0.5);
}

/** 21 quantiles of the last 400 service times; empty: there are none. */
export function quantilesSecOf(servicesSec: readonly number[]): number[] {
  const sorted = ascending(servicesSec.slice(-SAMPLES.services));
  return Array.from({ length: QUANTILES }, (_, n) => quantile(sorted, n / (QUANTILES - 1))).flatMap((sec) => sec ?? []);
}

/** The window W of the arrival rate: the mean service time of the pool's last 400 tasks, or three boots if that is longer. */
export function rateWindowSec(meanServiceSec: number, bootSec: number): number {
  return Math.max(meanServiceSec, 3 * bootSec);
}

/** Tasks a second that became claimable, the recent ones weighing most. */
export function arrivalsPerSecOf(agesSec: readonly number[], windowSec: number): number {
  const recent = agesSec.filter((age) => age >= 0 && age < RATE_WINDOWS * windowSec);
  return recent.reduce((sum, age) => sum + Math.exp(-age / windowSec) / windowSec, 0);
}

function ascending(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b);
}
