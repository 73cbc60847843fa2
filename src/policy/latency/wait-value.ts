import type { Rule } from "../../contract/plan.ts";
import type { Observation } from "../observation.ts";
import type { PolicySettings } from "../settings.ts";
import type { WaitTarget } from "./wait-target.ts";

/** In force where no setting says what waiting is worth: a mean wait of half a minute at a tenth above the least cost. */
export const DEFAULT_WAIT_VALUE = 2;
export const LOWEST_WAIT_VALUE = 0.01;
export const HIGHEST_WAIT_VALUE = 1000;

const GAIN = 0.02;
/** Waits at the 95th percentile fall about as the 0.4th power of WAIT_VALUE; learning that begins there is short. */
const FIRST_POWER = 2.5;
const FIRST_RANGE = { lowest: 0.05, highest: 50 };

/** What a second of a task's waiting is worth, in seconds of GPU, and where the figure is from. */
export interface WaitValue {
  readonly value: number;
  readonly words: string;
}

/** The setting that says what waiting is worth. At most one of the three is set. */
export function waitValueOf(
  settings: PolicySettings,
  { measured, spend, fleet }: Observation,
  bootSec: number,
): WaitValue {
  const { waitCostUsdPerHour: cost } = settings;
  const target = waitTargetOf(settings, bootSec, true);
  if (target !== null) {
    const learnt = measured?.waitValue ?? target.first;
    const value = within(Number.isFinite(learnt) ? learnt : target.first, target);
    return { value, words: `WAIT_VALUE ${figure(value)}, learnt for TARGET_WAIT_SEC ${target.targetSec}` };
  }
  if (cost === undefined) {
    const value = settings.waitValue ?? DEFAULT_WAIT_VALUE;
    return { value, words: `WAIT_VALUE ${figure(value)}` };
  }
  const price =
    spend?.priceUsd ?? fleet.find(({ costPerHourUsd }) => (costPerHourUsd ?? 0) > 0)?.costPerHourUsd ?? null;
  if (price === null || !(price > 0)) {
    return { value: DEFAULT_WAIT_VALUE, words: `WAIT_VALUE ${DEFAULT_WAIT_VALUE} until a price is known` };
  }
  const value = within(cost / price, { lowest: LOWEST_WAIT_VALUE, highest: HIGHEST_WAIT_VALUE });
  const words = `WAIT_VALUE ${figure(value)} (WAIT_COST_USD_PER_HOUR ${cost} at $${price.toFixed(2)} an hour)`;
  return { value, words };
}

/**
 * What the pool learns WAIT_VALUE for; null: it has no target, or its policy does not use one.
 * @param learns whether the policy alone rules the pool's size now
 */
export function waitTargetOf(settings: PolicySettings, bootSec: number, learns: boolean): WaitTarget | null {
  const { policy, targetWaitSec: targetSec, targetWaitPercentile: percentile, maxWaitValue: highest } = settings;
  if (policy !== "latency" || targetSec === undefined) {
    return null;
  }
  const lowest = Math.min(LOWEST_WAIT_VALUE, highest);
  const first = within(within((bootSec / targetSec) ** FIRST_POWER, FIRST_RANGE), { lowest, highest });
  return { targetSec, percentile, first, lowest, highest, gain: GAIN, learns };
}

/**
 * Whether starts under this rule say something about WAIT_VALUE. Any other rule keeps the pool smaller than the policy wants, and
 * starts are late for that.
 */
export function learnsUnder(rule: Rule): boolean {
  return rule === "latency" || rule === "min" || rule === "idle_buffer";
}

function within(value: number, { lowest, highest }: { readonly lowest: number; readonly highest: number }): number {
  return Math.min(highest, Math.max(lowest, value));
}

/** Three digits at most. */
export function figure(value: number): string {
  return String(Number(value.toPrecision(3)));
}
