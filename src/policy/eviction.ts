import type { WorkerSignal } from "../contract/plan.ts";
import { spendCaps, usd } from "./budget.ts";
import { type Fleet, hasPendingOrder, newestFirst, restedLongestFirst } from "./fleet.ts";
import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

/** A hundredth of a cent an hour is not worth a worker. */
const DUST_USD = 1e-4;

export interface Evictions {
  readonly signals: readonly { readonly worker: string; readonly signal: WorkerSignal }[];
  /** Null: no cap is exceeded, or nobody can be told to leave. */
  readonly reason: string | null;
}

interface Excess {
  /** This pool's part of it, USD an hour; infinite: everything. */
  readonly usdPerHour: number;
  /** What a worker's end takes from it. */
  readonly priceOf: (worker: ObservedWorker) => number;
  readonly reason: string;
}

/**
 * Who leaves because a cap of the account is exceeded: idle workers at once, then those that still boot, then busy ones
 * after their task (with BUDGET_HARD: at once). Where an operator rules the pool's size, only BUDGET_HARD does more.
 */
export function evict(settings: PolicySettings, observation: Observation, fleet: Fleet): Evictions {
  const isMine = observation.intent.mode === "normal" || settings.budgetHard;
  const excess = isMine ? findExcess(settings, observation, fleet) : null;
  if (excess === null) {
    return { signals: [], reason: null };
  }
  const chosen = choose(inOrder(fleet), excess);
  if (chosen.length === 0) {
    return { signals: [], reason: null };
  }
  const reason = `${excess.reason} → ${chosen.length} ${chosen.length === 1 ? "leaves" : "leave"}`;
  const signals = chosen.map((worker) => ({ worker: worker.id, signal: farewell(settings, worker, reason) }));
  return { signals, reason };
}

/** Those who were told to leave after their task, and whose time is up: an operator wants them gone, or BUDGET_HARD came. */
export function hasten({ budgetHard }: PolicySettings, { intent, fleet, nowMs }: Observation): Evictions["signals"] {
  const isCalledHome = intent.mode === "draining" || intent.mode === "closing";
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
  return isCalledHome ? withoutDeadline.map(({ id }) => ({ worker: id, signal: { name: "drain", order } })) : [];
}

function findExcess(settings: PolicySettings, observation: Observation, fleet: Fleet): Excess | null {
  const { maxHourlySpendUsd: hourly, dailyBudgetUsd: daily } = spendCaps(settings);
  const { spend } = observation;
  if (spend === null) {
    return null;
  }
  // As the account's sum has it: at the last known price, until its own is known.
  const priceOf = ({ costPerHourUsd }: ObservedWorker) => costPerHourUsd ?? spend.priceUsd ?? 0;
  if (daily !== null && spend.todayUsd >= daily) {
    return { usdPerHour: Infinity, priceOf, reason: `DAILY_BUDGET_USD ${daily} reached, ${usd(spend.todayUsd)} today` };
  }
  if (hourly === null || spend.hourlyUsd <= hourly) {
    return null;
  }
  const rate = (workers: readonly ObservedWorker[]) =>
    workers.filter(({ origin }) => origin === "pool").reduce((sum, worker) => sum + priceOf(worker), 0);
  // Every pool gives its part; what leaves already still costs, and is not to be given twice.
  const own = rate(observation.fleet) * ((spend.hourlyUsd - hourly) / spend.hourlyUsd);
  const usdPerHour = own - rate([...fleet.leaving, ...fleet.terminating, ...fleet.failing]);
  return { usdPerHour, priceOf, reason: `MAX_HOURLY_SPEND_USD ${hourly} exceeded, ${usd(spend.hourlyUsd)} now` };
}

function inOrder(fleet: Fleet): ObservedWorker[] {
  const startedLast = (a: ObservedWorker, b: ObservedWorker) => (b.task?.startedMs ?? 0) - (a.task?.startedMs ?? 0);
  return [
    ...restedLongestFirst(fleet.idle),
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
    if (left > DUST_USD && price > 0) {
      chosen.push(worker);
      left -= price;
    }
  }
  return chosen;
}

function farewell(settings: PolicySettings, worker: ObservedWorker, reason: string): WorkerSignal {
  if (worker.task === null) {
    return { name: "drain", order: { reason, onlyIdle: true } };
  }
  return settings.budgetHard
    ? { name: "terminate", order: { reason } }
    : { name: "drain", order: { reason, onlyIdle: false, untilTaskEnds: true } };
}
