import type { Observation, ObservedWorker } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

/** An order that was signalled this recently counts as under way. An older one without effect is signalled again. */
const SIGNAL_PENDING_MS = 30_000;

const ORDERS: ReadonlySet<string | null> = new Set(["drain", "fail", "terminate"]);

/** The fleet, sorted by what each worker does or is about to do. */
export interface Fleet {
  readonly spawning: readonly ObservedWorker[];
  readonly idle: readonly ObservedWorker[];
  readonly busy: readonly ObservedWorker[];
  /** Ordered to leave, but the order has not reached the row yet. */
  readonly leaving: readonly ObservedWorker[];
  readonly terminating: readonly ObservedWorker[];
  readonly failing: readonly ObservedWorker[];
  /** Spawning, idle and busy workers together. */
  readonly present: number;
}

/** @param ending workers that this decision ends. */
export function sortFleet(observation: Observation, ending: ReadonlySet<string>): Fleet {
  const isLeaving = (worker: ObservedWorker) => ending.has(worker.id) || hasPendingOrder(worker, observation.nowMs);
  const living = observation.fleet.filter(({ status }) => status === "spawning" || status === "active");
  const counted = living.filter((worker) => !isLeaving(worker));
  const active = counted.filter(({ status }) => status === "active");
  return {
    spawning: counted.filter(({ status }) => status === "spawning"),
    idle: active.filter(({ task }) => task === null),
    busy: active.filter(({ task }) => task !== null),
    leaving: living.filter(isLeaving),
    terminating: observation.fleet.filter(({ status }) => status === "terminating"),
    failing: observation.fleet.filter(({ status }) => status === "error"),
    present: counted.length,
  };
}

/**
 * Whether a worker counts in a decision. The pool cannot end an external worker. It counts only while its heartbeats
 * come. It never counts in a pool that goes to zero, because that pool would wait for it without end.
 */
export function isCapacity(settings: PolicySettings, observation: Observation, worker: ObservedWorker): boolean {
  if (worker.origin === "pool") {
    return true;
  }
  const { nowMs, intent } = observation;
  const isLeaving = intent.mode === "draining" || intent.mode === "closing";
  if (isLeaving || worker.status !== "active" || worker.heartbeatMs === null || worker.brokenReason) {
    return false;
  }
  return nowMs - worker.heartbeatMs <= settings.gpuIdleTimeoutSec * 1000;
}

/** Whether a drain or an end was signalled and may still be on its way. */
export function hasPendingOrder(worker: ObservedWorker, nowMs: number): boolean {
  return ORDERS.has(worker.signal) && nowMs - (worker.signalMs ?? 0) < SIGNAL_PENDING_MS;
}

/** The pool's own workers among these, the latest booked first. */
export function newestFirst(workers: readonly ObservedWorker[]): ObservedWorker[] {
  return workers.filter(({ origin }) => origin === "pool").sort((a, b) => b.createdMs - a.createdMs);
}
