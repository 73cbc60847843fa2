import fc from "fast-check";
import type { Schedule } from "../../src/contract/pool-settings.ts";
import type { Action, SpawnAction, WorkerAction } from "../../src/contract/plan.ts";
import type { DrainOrder } from "../../src/contract/worker-api.ts";
import type { Measured } from "../../src/policy/latency/measured.ts";
import type { Observation, ObservedSpend, ObservedTask, ObservedWorker } from "../../src/policy/observation.ts";
import type { PolicySettings } from "../../src/policy/settings.ts";

/** Any instant would do. */
export const NOW = 1_800_000_000_000;
export const SEC = 1000;

export const SETTINGS: PolicySettings = {
  policy: "threshold",
  minActiveGpus: 0,
  maxActiveGpus: 10,
  tasksPerGpuThreshold: 3,
  scaleUpMultiplier: 1,
  scaleDownMultiplier: 0.9,
  waitValue: undefined,
  targetWaitSec: undefined,
  targetWaitPercentile: 95,
  maxWaitValue: 100,
  waitCostUsdPerHour: undefined,
  machinesToKeepIdle: 0,
  maxLaunchesPerMinute: 10_000,
  workerGracePeriodSec: 120,
  scaleDownIdleSec: 60,
  schedules: [],
  gpuIdleTimeoutSec: 300,
  taskStuckTimeoutSec: 600,
  maxWorkerFailureRate: 0.8,
  failureWindowMinutes: 5,
  minWorkersForRateCheck: 5,
  sickWorkerMinTasks: 3,
  sickWorkerWindowMinutes: 10,
  sickWorkerProofMinutes: 60,
  maxHourlySpendUsd: undefined,
  dailyBudgetUsd: undefined,
  budgetHard: false,
  noFundsProbeMinutes: 5,
  queueWaitAlertMinutes: 60,
};

let workers = 0;

/** A ready worker, idle for an hour, whose last heartbeat came a second ago. */
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
    vramMs: NOW - SEC,
    releasedMs: null,
    costPerHourUsd: 0.5,
    task: null,
    drainsWithoutDeadline: false,
    signal: "ready",
    signalMs: NOW - 3600 * SEC,
    brokenReason: null,
    failedRun: null,
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
  return idle({ status: "terminating", signal: "released", signalMs: NOW - SEC, ...overrides });
}

export function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

export function observe(fleet: readonly ObservedWorker[], overrides: Partial<Observation> = {}): Observation {
  return {
    nowMs: NOW,
    observingSinceMs: NOW - 24 * 3600 * SEC,
    massSilenceSinceMs: null,
    intent: { mode: "normal", hold: null, holdUntilMs: null, version: 1 },
    queued: 0,
    waitingSinceMs: null,
    fleet,
    breaker: { state: "closed", sinceMs: NOW - 24 * 3600 * SEC, failed: 0, ready: 0 },
    noFunds: null,
    noPlace: null,
    spend: { hourlyUsd: 0, todayUsd: 0, priceUsd: 0.5, unpriced: 0 },
    launchedLastMinute: 0,
    failedRecently: 0,
    ...overrides,
  };
}

export function intent(overrides: Partial<Observation["intent"]>): Pick<Observation, "intent"> {
  return { intent: { mode: "normal", hold: null, holdUntilMs: null, version: 1, ...overrides } };
}

export function breaker(overrides: Partial<Observation["breaker"]>): Pick<Observation, "breaker"> {
  return { breaker: { state: "closed", sinceMs: NOW - 3600 * SEC, failed: 0, ready: 0, ...overrides } };
}

export function spend(overrides: Partial<ObservedSpend>): Pick<Observation, "spend"> {
  return { spend: { hourlyUsd: 0, todayUsd: 0, priceUsd: 0.5, unpriced: 0, ...overrides } };
}

export function spawnOf(actions: readonly Action[]): SpawnAction | undefined {
  return actions.find((action) => action.kind === "spawn");
}

/** The ids of the workers that get this signal. */
export function signalled(actions: readonly Action[], name: string): string[] {
  return actions
    .filter((action): action is WorkerAction => action.kind === "signal" && action.signal.name === name)
    .map(({ worker }) => worker);
}

/** The workers that are drained, each with its order. */
export function drainsOf(actions: readonly Action[]): { worker: string; order: DrainOrder }[] {
  return actions.flatMap((action) =>
    action.kind === "signal" && action.signal.name === "drain"
      ? [{ worker: action.worker, order: action.signal.order }]
      : [],
  );
}

/** Null in nine of ten. */
function rarely<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ arbitrary: fc.constant(null), weight: 9 }, { arbitrary: value, weight: 1 });
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
    vramMs: fc.option(anytime),
    costPerHourUsd: fc.option(fc.constantFrom(0, 0.2, 0.5, 1.9)),
    releasedMs: fc.option(anytime),
    drainsWithoutDeadline: fc.boolean(),
    task: fc.option(
      fc.record({
        id: fc.constant("t"),
        startedMs: anytime,
        progressMs: fc.option(anytime),
        stuckTimeoutSec: fc.option(fc.integer({ min: 1, max: 7200 })),
      }),
    ),
    brokenReason: rarely(fc.constant("it reported itself error")),
    failedRun: rarely(
      fc.record({ tasks: fc.integer({ min: 2, max: 9 }), sinceMs: anytime, othersCompletedMs: fc.option(anytime) }),
    ),
    signal: fc.option(fc.constantFrom("ready", "drain", "fail", "terminate", "released")),
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
    // A spawning worker has no task and was never ready; every other worker was ready.
    status === "spawning"
      ? spawning({ ...drawn, readyMs: null, task: null })
      : idle({ ...drawn, status: status as ObservedWorker["status"], readyMs: drawn.readyMs ?? drawn.createdMs }),
  );

const anySchedule: fc.Arbitrary<Schedule> = fc.record({
  name: fc.constantFrom("office hours", "night", "weekend"),
  days: fc.subarray(["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const, { minLength: 1 }),
  from: fc.constantFrom("00:00", "08:00", "22:30"),
  to: fc.constantFrom("06:00", "12:15", "24:00"),
  timeZone: fc.constantFrom("UTC", "Europe/Berlin", "America/New_York"),
  minActiveGpus: fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined }),
  maxActiveGpus: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
  machinesToKeepIdle: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
});

export const anySettings: fc.Arbitrary<PolicySettings> = fc
  .record({
    policy: fc.constantFrom("threshold", "workload", "latency"),
    minActiveGpus: fc.integer({ min: 0, max: 5 }),
    above: fc.integer({ min: 0, max: 15 }),
    tasksPerGpuThreshold: fc.integer({ min: 1, max: 10 }),
    scaleUpMultiplier: fc.double({ min: 0.1, max: 3, noNaN: true }),
    scaleDownMultiplier: fc.double({ min: 0, max: 3, noNaN: true }),
    wait: fc.constantFrom({}, { waitValue: 0.3 }, { waitValue: 20 }, { targetWaitSec: 60 }, { waitCostUsdPerHour: 1 }),
    targetWaitPercentile: fc.constantFrom(50, 95, 99.9),
    maxWaitValue: fc.constantFrom(1, 100),
    machinesToKeepIdle: fc.integer({ min: 0, max: 4 }),
    maxLaunchesPerMinute: fc.constantFrom(1, 3, 60, 10_000),
    workerGracePeriodSec: fc.integer({ min: 0, max: 600 }),
    scaleDownIdleSec: fc.integer({ min: 0, max: 600 }),
    schedules: fc.oneof(fc.constant([]), fc.array(anySchedule, { maxLength: 2 })),
    gpuIdleTimeoutSec: fc.integer({ min: 10, max: 900 }),
    taskStuckTimeoutSec: fc.integer({ min: 10, max: 1800 }),
    maxWorkerFailureRate: fc.constantFrom(0, 0.5, 0.8, 1),
    failureWindowMinutes: fc.integer({ min: 1, max: 30 }),
    minWorkersForRateCheck: fc.integer({ min: 1, max: 5 }),
    sickWorkerMinTasks: fc.integer({ min: 2, max: 5 }),
    sickWorkerWindowMinutes: fc.integer({ min: 1, max: 30 }),
    sickWorkerProofMinutes: fc.integer({ min: 10, max: 120 }),
    maxHourlySpendUsd: fc.option(fc.constantFrom(0.3, 2, 10), { nil: undefined }),
    dailyBudgetUsd: fc.option(fc.constantFrom(5, 50), { nil: undefined }),
    budgetHard: fc.boolean(),
    noFundsProbeMinutes: fc.constantFrom(0.1, 5, 60),
    queueWaitAlertMinutes: fc.constantFrom(1, 60),
  })
  .map(({ above, wait, ...drawn }) => ({
    ...drawn,
    waitValue: undefined,
    targetWaitSec: undefined,
    waitCostUsdPerHour: undefined,
    ...wait,
    maxActiveGpus: drawn.minActiveGpus + above,
  }));

const TYPES = ["text_to_video", "image_to_video", "stitch"] as const;
const anyKind = { taskType: fc.constantFrom(...TYPES), model: fc.constantFrom(null, "wan", "ltx") };
/** Also what no database says: a clock that was set back, or a figure that overflowed. */
const anyFigure = fc.oneof(
  { weight: 8, arbitrary: fc.double({ min: 0, max: 5_000, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(0, -1, -1e9, 1e300, Infinity, Number.NaN) },
);
const anyQuantiles = fc.oneof(
  fc.array(anyFigure, { minLength: 21, maxLength: 21 }).map((sec) => sec.toSorted((a, b) => a - b)),
  anyFigure.map((sec) => Array.from({ length: 21 }, () => sec)),
  fc.array(anyFigure, { maxLength: 3 }),
);

/** From nothing at all to figures that cannot be true. */
export const anyMeasured: fc.Arbitrary<Measured> = fc.record({
  bootSec: fc.option(anyFigure),
  services: fc.array(
    fc.record({ ...anyKind, samples: fc.constantFrom(0, 1, 19, 20, 400), quantilesSec: anyQuantiles }),
    { maxLength: 6 },
  ),
  priorsSec: fc.dictionary(fc.constantFrom(...TYPES), anyFigure),
  demand: fc.array(fc.record({ ...anyKind, queued: anyFigure, arrivalsPerSec: anyFigure }), { maxLength: 5 }),
  coming: fc.array(fc.record({ ...anyKind, after: fc.constantFrom("t", "gone"), tasks: anyFigure }), { maxLength: 3 }),
  waitValue: fc.option(anyFigure),
  waited: fc.option(fc.record({ starts: fc.constant(400), sec: anyFigure })),
});

export const anyObservation: fc.Arbitrary<Observation> = fc.record({
  nowMs: fc.constant(NOW),
  observingSinceMs: anytime,
  massSilenceSinceMs: fc.option(anytime),
  intent: fc.record({
    mode: fc.constantFrom("normal", "normal", "paused", "draining", "closing"),
    hold: fc.option(fc.integer({ min: 0, max: 30 })),
    holdUntilMs: fc.constant(null),
    version: fc.integer({ min: 1, max: 9 }),
  }),
  queued: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200 })),
  waitingSinceMs: fc.option(anytime),
  fleet: fc.array(anyWorker, { maxLength: 15 }),
  noPlace: fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    fc.record({ sinceMs: anytime, reason: fc.constant("refused everywhere") }),
  ),
  breaker: fc.record({
    state: fc.constantFrom("closed", "closed", "open", "half_open"),
    sinceMs: anytime,
    failed: fc.integer({ min: 0, max: 6 }),
    ready: fc.integer({ min: 0, max: 6 }),
  }),
  spend: fc.option(
    fc.record({
      hourlyUsd: fc.constantFrom(0, 0.1, 1.5, 2, 2.5, 9, 30),
      todayUsd: fc.constantFrom(0, 4.99, 5, 49, 120),
      priceUsd: fc.option(fc.constantFrom(0.1, 0.5, 1.9)),
      unpriced: fc.constantFrom(0, 0, 1, 4),
    }),
  ),
  noFunds: fc.option(fc.record({ sinceMs: anytime, triedMs: anytime }), { freq: 1 }),
  launchedLastMinute: fc.integer({ min: 0, max: 70 }),
  failedRecently: fc.integer({ min: 0, max: 4 }),
  measured: anyMeasured,
});

/** Only demand decides: no operator, no breaker, funds, no schedule, no launch rate. Caps that are set are far from reached. */
export function undisturbed(settings: PolicySettings, seen: Observation): [PolicySettings, Observation] {
  return [
    { ...withCapsFarOff(settings), schedules: [], maxLaunchesPerMinute: 10_000 },
    {
      ...seen,
      ...intent({}),
      ...breaker({}),
      noFunds: null,
      noPlace: null,
      ...spend({ ...seen.spend, priceUsd: 0.5, unpriced: 0 }),
    },
  ];
}

function withCapsFarOff({ maxHourlySpendUsd: hourly, dailyBudgetUsd: daily, ...rest }: PolicySettings): PolicySettings {
  return {
    ...rest,
    maxHourlySpendUsd: hourly === undefined ? undefined : 1_000,
    dailyBudgetUsd: daily === undefined ? undefined : 1_000,
  };
}
