import type { WorkerSignal } from "../contract/worker-api.ts";
import { spendCaps, usd } from "./budget.ts";
import { type Fleet, hasPendingOrder, newestFirst } from "./fleet.ts";
import { longestIdleFirst } from "./idle-drain.ts";
import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

/** USD an hour. An excess of a hundredth of a cent is not worth a worker. */
const NEGLIGIBLE_USD = 1e-4;

export interface Evictions {
  readonly signals: readonly { readonly worker: string; readonly signal: WorkerSignal }[];
  /** Null: no cap is exceeded, or no worker can leave. */
  readonly reason: string | null;
}

interface Excess {
  /** This pool's part of the excess, USD an hour. Infinity: every worker leaves. */
  readonly usdPerHour: number;
  /** How much a worker's end lowers the excess, USD an hour. */
  readonly priceOf: (worker: ObservedWorker) => number;
  readonly reason: string;
}

/**
 * The workers that leave because a cap of the account is exceeded: first idle ones, then booting ones, then busy ones
 * after their task (with BUDGET_HARD: at once). While an operator drains or pauses the pool, only BUDGET_HARD adds to
 * that.
 */
export function evict(settings: PolicySettings, observation: Observation, fleet: Fleet): Evictions {
  const mayEvict = observation.intent.mode === "normal" || settings.budgetHard;
  const excess = mayEvict ? findExcess(settings, observation, fleet) : null;
  if (excess === null) {
    return { signals: [], reason: null };
  }
  const chosen = choose(inOrder(fleet), excess);
  if (chosen.length === 0) {
    return { signals: [], reason: null };
  }
  const reason = `${excess.reason} → ${chosen.length} ${chosen.length === 1 ? "leaves" : "leave"}`;
  const signals = chosen.map((worker) => ({ worker: worker.id, signal: orderToLeave(settings, worker, reason) }));
  return { signals, reason };
}

/**
 * Orders for workers that drain without a deadline. BUDGET_HARD ends them now; a pool that drains or closes gives them
 * the usual deadline.
 */
export function endDrainsWithoutDeadline(
  { budgetHard }: PolicySettings,
  { intent, fleet, nowMs }: Observation,
): Evictions["signals"] {
  const goesToZero = intent.mode === "draining" || intent.mode === "closing";
  const withoutDeadline = fleet.filter(
    (worker) =>
      worker.status === "terminating" &&
      worker.drainsWithoutDeadline &&
      worker.task !== null &&
      !hasPendingOrder(worker, nowMs),
  );
  if (budgetHard) {
    const order = { reason: "BUDGET_HARD: its task is not waited for any longer" };
    return withoutDeadline.map(({ id }) => ({ worker: id, signal: { name: "terminate", order } }));
  }
  const order = { reason: `${intent.mode}: its task has the usual time to end`, onlyIdle: false };
  return goesToZero ? withoutDeadline.map(({ id }) => ({ worker: id, signal: { name: "drain", order } })) : [];
}

function findExcess(settings: PolicySettings, observation: Observation, fleet: Fleet): Excess | null {
  const { maxHourlySpendUsd: hourly, dailyBudgetUsd: daily } = spendCaps(settings);
  const { spend } = observation;
  if (spend === null) {
    return null;
  }
  // The account's sum counts a worker of unknown price at the last known price, so this function uses the same price.
  const priceOf = ({ costPerHourUsd }: ObservedWorker) => costPerHourUsd ?? spend.priceUsd ?? 0;
  if (daily !== null && spend.todayUsd >= daily) {
    return { usdPerHour: Infinity, priceOf, reason: `DAILY_BUDGET_USD ${daily} reached, ${usd(spend.todayUsd)} today` };
  }
  if (hourly === null || spend.hourlyUsd <= hourly) {
    return null;
  }
  const rate = (workers: readonly ObservedWorker[]) =>
    workers.filter(({ origin }) => origin === "pool").reduce((sum, worker) => sum + priceOf(worker), 0);
  // Each pool gives up its part of the excess. Workers that leave already still cost, so they count towards that part.
  const own = rate(observation.fleet) * ((spend.hourlyUsd - hourly) / spend.hourlyUsd);
  const usdPerHour = own - rate([...fleet.leaving, ...fleet.terminating, ...fleet.failing]);
  return { usdPerHour, priceOf, reason: `MAX_HOURLY_SPEND_USD ${hourly} exceeded, ${usd(spend.hourlyUsd)} now` };
}

function inOrder(fleet: Fleet): ObservedWorker[] {
  const startedLast = (a: ObservedWorker, b: ObservedWorker) => (b.task?.startedMs ?? 0) - (a.task?.startedMs ?? 0);
  return [
    ...longestIdleFirst(fleet.idle),
    ...newestFirst(fleet.spawning),
    ...fleet.busy.filter(({ origin }) => origin === "pool").sort(startedLast),
  ];
}

function choose(candidates: readonly ObservedWorker[], { usdPerHour, priceOf }: Excess): ObservedWorker[] {
  if (usdPerHour === Infinity) {
    return [...candidates];
  }
  const chosen: ObservedWorker[] = [];
  let left = usdPerHour;
  for (const worker of candidates) {
    const price = priceOf(worker);
    if (left > NEGLIGIBLE_USD && price > 0) {
      chosen.push(worker);
      left -= price;
    }
  }
  return chosen;
}

function orderToLeave(settings: PolicySettings, worker: ObservedWorker, reason: string): WorkerSignal {
  if (worker.task === null) {
    return { name: "drain", order: { reason, onlyIdle: true } };
  }
  return settings.budgetHard
    ? { name: "terminate", order: { reason } }
    : { name: "drain", order: { reason, onlyIdle: false, untilTaskEnds: true } };
}
