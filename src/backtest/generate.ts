import type { Arrival } from "./arrivals.ts";
import { createRandom, type Random } from "./random.ts";

/** A load without a recording of it. The defaults are the figures of a public image generation service, its tasks eight times as long. */
export interface Load {
  readonly seed: number;
  readonly days: number;
  /** Mean time between two tasks. */
  readonly everySec: number;
  /** Median time of a task. */
  readonly taskSec: number;
  /** Standard deviation of the logarithm of a task's time. */
  readonly taskSigma: number;
  /** How far the peak hour of a day is above the mean hour: 0 is no day and night, 2 makes 3.3 times the mean. */
  readonly peak: number;
  /** Hours around the trough in which nothing comes. */
  readonly silentHours: number;
  /** Standard deviation of the logarithm of a day's share. */
  readonly daySigma: number;
  /** Standard deviation of the logarithm of what else changes the rate, and how long such a change lasts. */
  readonly burstSigma: number;
  readonly burstMinutes: number;
}

export const LOAD: Load = {
  seed: 13,
  days: 24,
  everySec: 74.2,
  taskSec: 192.6,
  taskSigma: 0.571,
  peak: 2,
  silentHours: 8,
  daySigma: 0.6,
  burstSigma: 0.6,
  burstMinutes: 45,
};

const PEAK_HOUR = 21;
const MINUTES_A_DAY = 24 * 60;
/** A Thursday, midnight UTC. */
const FROM_MS = Date.UTC(2026, 0, 1);

/**
 * Draws the tasks of some days: a Poisson process whose rate follows the hour, the day, and bursts that come and go. The
 * same load gives the same tasks on every machine.
 */
export function generate(load: Load): Arrival[] {
  const times = createRandom(load.seed);
  const sizes = createRandom(load.seed + 1);
  const hours = hourShares(load);
  const perMinute = 60 / load.everySec;
  const stays = Math.exp(-1 / load.burstMinutes);
  const arrivals: Arrival[] = [];
  const days = dayShares(load, times);
  let burst = times.normal();
  for (let minute = 0; minute < load.days * MINUTES_A_DAY; minute += 1) {
    burst = burst * stays + times.normal() * Math.sqrt(1 - stays * stays);
    const day = days[Math.floor(minute / MINUTES_A_DAY)] ?? 0;
    const rate = perMinute * (hours[minute % MINUTES_A_DAY] ?? 0) * day * logNormalOfMean1(load.burstSigma, burst);
    for (let at = times.exponential() / rate; at < 1; at += times.exponential() / rate) {
      const seconds = load.taskSec * Math.exp(load.taskSigma * sizes.normal());
      arrivals.push({
        atMs: FROM_MS + Math.floor((minute + at) * 60_000),
        seconds: Math.max(1, Math.round(seconds * 10) / 10),
        type: "generated",
      });
    }
  }
  return arrivals;
}

/** The rate of each day, 1 on average. */
function dayShares({ days, daySigma }: Load, random: Random): number[] {
  return ofMean1(Array.from({ length: Math.ceil(days) }, () => Math.exp(daySigma * random.normal())));
}

/** The rate in each minute of a day, 1 on average. */
function hourShares({ peak, silentHours }: Load): number[] {
  const shares = Array.from({ length: MINUTES_A_DAY }, (_, minute) => {
    const hour = minute / 60;
    const fromPeak = Math.abs(((hour - PEAK_HOUR + 36) % 24) - 12);
    return fromPeak > 12 - silentHours / 2 ? 0 : Math.exp(peak * Math.cos((2 * Math.PI * (hour - PEAK_HOUR)) / 24));
  });
  return ofMean1(shares);
}

function ofMean1(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value / mean);
}

function logNormalOfMean1(sigma: number, normal: number): number {
  return Math.exp(sigma * normal - (sigma * sigma) / 2);
}
