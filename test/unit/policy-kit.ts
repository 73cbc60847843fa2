import fc from "fast-check";
import type { Action, SpawnAction, WorkerAction } from "../../src/contract/plan.ts";
import type { Observation, ObservedTask, ObservedWorker } from "../../src/policy/observation.ts";
import type { PolicySettings } from "../../src/policy/settings.ts";

/** Some instant; nothing depends on which. */
export const NOW = 1_800_000_000_000;
export const SEC = 1000;

export const SETTINGS: PolicySettings = {
  minActiveGpus: 0,
  maxActiveGpus: 10,
  tasksPerGpuThreshold: 3,
  machinesToKeepIdle: 0,
  workerGracePeriodSec: 120,
  scaleDownIdleSec: 60,
  gpuIdleTimeoutSec: 300,
  taskStuckTimeoutSec: 600,
};

let workers = 0;

/** A ready worker, idle for an hour, that beat a second ago. */
export function idle(overrides: Partial<ObservedWorker> = {}): ObservedWorker {
  workers += 1;
  return {
    id: `w${workers}`,
    status: "active",
    origin: "pool",
    podId: `pod${workers}`,
    createdMs: NOW - 2 * 3600 * SEC,
    readyMs: NOW - 3600 * SEC,
    heartbeatMs: NOW - SEC,
    releasedMs: null,
    costPerHourUsd: 0.5,
    task: null,
    signal: "ready",
    signalMs: NOW - 3600 * SEC,
    pod: null,
    ...overrides,
  };
}

export function task(overrides: Partial<ObservedTask> = {}): ObservedTask {
  return { id: "t1", startedMs: NOW - 60 * SEC, progressMs: NOW - 5 * SEC, stuckTimeoutSec: null, ...overrides };
}

export function busy(overrides: Partial<ObservedWorker> = {}): ObservedWorker {
  return idle({ task: task(), ...overrides });
}

export function spawning(overrides: Partial<ObservedWorker> = {}): ObservedWorker {
  return idle({ status: "spawning", readyMs: null, heartbeatMs: null, signal: null, signalMs: null, ...overrides });
}

export function terminating(overrides: Partial<ObservedWorker> = {}): ObservedWorker {
  return idle({ status: "terminating", signal: "released", ...overrides });
}

export function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

export function observe(fleet: readonly ObservedWorker[], overrides: Partial<Observation> = {}): Observation {
  return {
    nowMs: NOW,
    observingSinceMs: NOW - 24 * 3600 * SEC,
    intent: { mode: "normal", hold: null, holdUntilMs: null, version: 1 },
    queued: 0,
    fleet,
    ...overrides,
  };
}

export function intent(overrides: Partial<Observation["intent"]>): Pick<Observation, "intent"> {
  return { intent: { mode: "normal", hold: null, holdUntilMs: null, version: 1, ...overrides } };
}

export function spawnOf(actions: readonly Action[]): SpawnAction | undefined {
  return actions.find((action) => action.kind === "spawn");
}

/** The ids of the workers that get this signal. */
export function told(actions: readonly Action[], name: string): string[] {
  return actions
    .filter((action): action is WorkerAction => action.kind === "signal" && action.signal.name === name)
    .map(({ worker }) => worker);
}

const ageMs = fc.integer({ min: 0, max: 7200 }).map((sec) => sec * SEC);
const anytime = ageMs.map((age) => NOW - age);

const anyWorker = fc
  .record({
    status: fc.constantFrom("spawning", "active", "active", "active", "terminating", "error"),
    origin: fc.constantFrom("pool", "pool", "pool", "external"),
    createdMs: anytime,
    readyMs: fc.option(anytime),
    heartbeatMs: fc.option(anytime),
    releasedMs: fc.option(anytime),
    task: fc.option(
      fc.record({
        id: fc.constant("t"),
        startedMs: anytime,
        progressMs: fc.option(anytime),
        stuckTimeoutSec: fc.option(fc.integer({ min: 1, max: 7200 })),
      }),
    ),
    signal: fc.option(fc.constantFrom("ready", "drain", "fail", "released")),
    signalMs: fc.option(
      fc.oneof(
        anytime,
        fc.integer({ min: 0, max: 60 }).map((sec) => NOW - sec * SEC),
      ),
    ),
    pod: fc.option(
      fc.oneof(
        fc.constant({ kind: "absent" } as const),
        fc.constantFrom("RUNNING", "EXITED", "STARTING").map((status) => ({ kind: "listed", status }) as const),
      ),
    ),
  })
  .map(({ status, ...drawn }): ObservedWorker =>
    // Nothing that spawns has a task or was ever ready; everything else was.
    status === "spawning"
      ? spawning({ ...drawn, readyMs: null, task: null })
      : idle({ ...drawn, status: status as ObservedWorker["status"], readyMs: drawn.readyMs ?? drawn.createdMs }),
  );

export const anySettings: fc.Arbitrary<PolicySettings> = fc
  .record({
    minActiveGpus: fc.integer({ min: 0, max: 5 }),
    above: fc.integer({ min: 0, max: 15 }),
    tasksPerGpuThreshold: fc.integer({ min: 1, max: 10 }),
    machinesToKeepIdle: fc.integer({ min: 0, max: 4 }),
    workerGracePeriodSec: fc.integer({ min: 0, max: 600 }),
    scaleDownIdleSec: fc.integer({ min: 0, max: 600 }),
    gpuIdleTimeoutSec: fc.integer({ min: 10, max: 900 }),
    taskStuckTimeoutSec: fc.integer({ min: 10, max: 1800 }),
  })
  .map(({ above, ...drawn }) => ({ ...drawn, maxActiveGpus: drawn.minActiveGpus + above }));

export const anyObservation: fc.Arbitrary<Observation> = fc.record({
  nowMs: fc.constant(NOW),
  observingSinceMs: anytime,
  intent: fc.record({
    mode: fc.constantFrom("normal", "normal", "paused", "draining", "closing"),
    hold: fc.option(fc.integer({ min: 0, max: 30 })),
    holdUntilMs: fc.constant(null),
    version: fc.integer({ min: 1, max: 9 }),
  }),
  queued: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200 })),
  fleet: fc.array(anyWorker, { maxLength: 15 }),
});
