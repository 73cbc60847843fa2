import type { Rule } from "../../contract/plan.ts";
import type { Observation } from "../observation.ts";
import type { PolicySettings } from "../settings.ts";
import { bootSecOf } from "./latency.ts";
import { figure, waitTargetOf } from "./wait-value.ts";

/** A learnt figure this close to its limit has reached it: each start on time moves it a little away. */
const AT_LIMIT = 0.95;

/**
 * Why TARGET_WAIT_SEC is not held and what can be, for the alert; null: it is held, or is still being learnt. MAX alone
 * counts among the bounds, because the others have alerts of their own.
 */
export function missedTarget(settings: PolicySettings, observation: Observation, rule: Rule): string | null {
  const bootSec = bootSecOf(observation);
  const target = waitTargetOf(settings, bootSec, true);
  const { waitValue = null, waited = null } = observation.measured ?? {};
  if (target === null || waited === null || waited.sec <= target.targetSec) {
    return null;
  }
  const isAtLimit = waitValue !== null && waitValue >= AT_LIMIT * target.highest;
  if (!isAtLimit && rule !== "max") {
    return null;
  }
  const reached = `TARGET_WAIT_SEC ${target.targetSec} at percentile ${target.percentile} is not held: about ${rounded(waited.sec)} s is`;
  return isAtLimit
    ? `${reached}, with WAIT_VALUE at its limit MAX_WAIT_VALUE ${figure(target.highest)} and boots of about ${rounded(bootSec)} s`
    : `${reached}, because MAX_ACTIVE_GPUS ${settings.maxActiveGpus} keeps the pool smaller than wanted`;
}

/** Upwards to two digits: a message must not change with each look. */
function rounded(sec: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, sec))) - 1);
  return Math.ceil(sec / step) * step;
}
