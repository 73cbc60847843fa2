import type { ObservedWorker } from "../policy/observation.ts";

/** A worker as `decide()` sees it, and what only the simulation knows. */
export interface SimulatedWorker extends Mutable<ObservedWorker> {
  /** When its boot or its task ends; infinite: it waits for a task. */
  nextMs: number;
  /** The number of its task; null: none. */
  holds: number | null;
  /** How long its last task took; infinite: it had none. */
  lastTaskMs: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function bookWorker(id: string, nowMs: number, bootMs: number, costPerHourUsd: number | null): SimulatedWorker {
  return {
    id,
    status: "spawning",
    origin: "pool",
    podId: id,
    createdMs: nowMs,
    readyMs: null,
    heartbeatMs: null,
    vramMs: null,
    releasedMs: null,
    costPerHourUsd,
    task: null,
    drainsWithoutDeadline: false,
    signal: null,
    signalMs: null,
    brokenReason: null,
    failedRun: null,
    pod: null,
    nextMs: nowMs + bootMs,
    holds: null,
    lastTaskMs: Number.POSITIVE_INFINITY,
  };
}

/** As in src/gpu-worker/idle-pace.ts: a worker that has rested so long, and whose last task was shorter, asks less often. */
const RESTED_MS = 15_000;
const RESTED_FACTOR = 3;

/** How many times less often than others this resting worker asks for a task. */
export function idlePace(worker: SimulatedWorker, nowMs: number): number {
  return nowMs - restingSinceMs(worker) >= RESTED_MS && worker.lastTaskMs < RESTED_MS ? RESTED_FACTOR : 1;
}

/** Since when it has no task, ms; it must be ready. */
export function restingSinceMs({ readyMs, releasedMs, createdMs }: SimulatedWorker): number {
  return releasedMs ?? readyMs ?? createdMs;
}
