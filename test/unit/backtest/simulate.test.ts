import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Arrival } from "../../../src/backtest/arrivals.ts";
import { generate, LOAD } from "../../../src/backtest/generate.ts";
import { simulate } from "../../../src/backtest/simulate.ts";
import { sizingOf } from "../../../src/backtest/sizing.ts";
import type { Circumstances } from "../../../src/backtest/world.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { withSettings } from "../../../src/config/set-settings.ts";
import { settingsInForce } from "../../../src/config/settings-in-force.ts";

const DEFAULTS = settingsInForce(loadConfig({}, { need: [] }), {}, {});
/** Every worker leaves as soon as it rests, and what happens is seen at once. */
const EAGER = {
  SCALING_POLICY: "workload",
  MIN_ACTIVE_GPUS: "0",
  WORKER_GRACE_PERIOD_SEC: "0",
  SCALE_DOWN_IDLE_SEC: "0",
};
const AT_ONCE: Circumstances = {
  bootSec: 100,
  bootSigma: 0,
  seed: 1,
  watchIntervalMs: 0,
  claims: "least_rested",
  priceUsd: null,
};

function settings(set: Readonly<Record<string, string>> = {}) {
  return withSettings(DEFAULTS, { ...EAGER, ...set });
}

function tasks(...given: readonly (readonly [atSec: number, seconds: number])[]): Arrival[] {
  return given.map(([atSec, seconds]) => ({ atMs: atSec * 1000, seconds, type: "t" }));
}

describe("a simulated pool", () => {
  it("pays one boot and the task for a single task", () => {
    const outcome = simulate(sizingOf(settings()), tasks([0, 30]), AT_ONCE);
    expect(outcome).toMatchObject({
      gpuSec: 130,
      bootSec: 100,
      busySec: 30,
      idleSec: 0,
      spawns: 1,
      peak: 1,
      unserved: 0,
    });
    expect(outcome.waitSec).toEqual({ mean: 100, p50: 100, p95: 100, p99: 100 });
  });

  it("boots a second worker for a task that comes meanwhile, and each task waits for its own boot", () => {
    const outcome = simulate(sizingOf(settings()), tasks([0, 30], [10, 50]), AT_ONCE);
    expect(outcome).toMatchObject({ gpuSec: 280, bootSec: 200, busySec: 80, spawns: 2, peak: 2 });
    expect(outcome.waitSec).toMatchObject({ mean: 100, p95: 100 });
  });

  it("lets a task wait for a busy worker where MAX allows no other", () => {
    const outcome = simulate(sizingOf(settings({ MAX_ACTIVE_GPUS: "1" })), tasks([0, 30], [10, 50]), AT_ONCE);
    expect(outcome).toMatchObject({ gpuSec: 180, busySec: 80, spawns: 1, peak: 1 });
    expect(outcome.waitSec).toMatchObject({ mean: 110, p50: 100, p95: 120 });
  });

  it("keeps a resting worker for grace and idle time, and pays for that", () => {
    const resting = settings({ WORKER_GRACE_PERIOD_SEC: "120", SCALE_DOWN_IDLE_SEC: "60" });
    expect(simulate(sizingOf(resting), tasks([0, 30]), AT_ONCE)).toMatchObject({ gpuSec: 220, idleSec: 90 });
    const again = simulate(sizingOf(resting), tasks([0, 30], [150, 30]), AT_ONCE);
    expect(again).toMatchObject({ spawns: 1, gpuSec: 240, idleSec: 80 });
    expect(again.waitSec).toMatchObject({ mean: 50, p95: 100 });
  });

  it("sees what happens at the next look only", () => {
    const outcome = simulate(sizingOf(settings()), tasks([0, 30.25]), { ...AT_ONCE, watchIntervalMs: 500 });
    // Booked at the first look, at 0 s; ended at the first look after 130.25 s.
    expect(outcome).toMatchObject({ gpuSec: 130.5, idleSec: 0.25 });
  });

  it("pays for MIN in the whole time that was given, also without any task", () => {
    const kept = sizingOf(settings({ MIN_ACTIVE_GPUS: "2" }));
    const hour = { fromMs: 0, toMs: 3_600_000 };
    expect(simulate(kept, [], { ...AT_ONCE, ...hour })).toMatchObject({ gpuSec: 7200, bootSec: 200, spawns: 2 });
    const outcome = simulate(kept, tasks([1800, 30]), { ...AT_ONCE, ...hour });
    expect(outcome).toMatchObject({ gpuSec: 7200, busySec: 30, waitSec: { mean: 0 } });
  });

  it("gives up on tasks that no worker may serve, and says how many", () => {
    const outcome = simulate(sizingOf(settings({ MAX_ACTIVE_GPUS: "0" })), tasks([0, 30], [5, 5]), AT_ONCE);
    expect(outcome).toMatchObject({ tasks: 2, unserved: 2, gpuSec: 0, waitSec: { mean: 0 } });
    expect(outcome.course.queued.length).toBeLessThanOrEqual(1200);
    expect(outcome.course.queued.at(-1)).toBeGreaterThan(0);
  });

  it("keeps budgets by the price that it is given", () => {
    const capped = settings({ MAX_HOURLY_SPEND_USD: "1" });
    const outcome = simulate(sizingOf(capped), tasks([0, 30], [0, 30], [0, 30]), { ...AT_ONCE, priceUsd: 0.5 });
    expect(outcome).toMatchObject({ unserved: 0, peak: 2 });
  });

  it("puts the task of a worker that a hard budget ends back in the line, and serves it the next day", () => {
    const hard = settings({ DAILY_BUDGET_USD: "1", BUDGET_HARD: "true" });
    // A day pays for an hour. The second task is ended half an hour before midnight, and begins anew after it.
    const late = tasks([22.5 * 3600, 1800], [23.1 * 3600, 3000]);
    const outcome = simulate(sizingOf(hard), late, { ...AT_ONCE, priceUsd: 1 });
    expect(outcome).toMatchObject({ unserved: 0, spawns: 3, waitSec: { mean: 100 } });
    expect(outcome.busySec).toBeCloseTo(1800 + 3000 + 1600, -2);
  });

  it("serves a task that comes weeks after the last one", () => {
    const outcome = simulate(sizingOf(settings()), tasks([0, 30], [30 * 86_400, 30]), AT_ONCE);
    expect(outcome).toMatchObject({ unserved: 0, gpuSec: 260, waitSec: { mean: 100 } });
  });

  it("gives up on a task that is longer than the budget of any day", () => {
    const hard = settings({ DAILY_BUDGET_USD: "1", BUDGET_HARD: "true" });
    expect(simulate(sizingOf(hard), tasks([0, 7200]), { ...AT_ONCE, priceUsd: 1 })).toMatchObject({ unserved: 1 });
  });

  it("counts fleet and queue over time so that their sums are the time paid and waited", () => {
    const outcome = simulate(sizingOf(DEFAULTS), generate({ ...LOAD, days: 1 }), { ...AT_ONCE, watchIntervalMs: 500 });
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    const stepSec = outcome.course.stepMs / 1000;
    expect(sum(outcome.course.workers) * stepSec).toBeCloseTo(outcome.gpuSec, 0);
    expect(sum(outcome.course.busy) * stepSec).toBeCloseTo(outcome.busySec, 0);
    expect(sum(outcome.course.queued) * stepSec).toBeCloseTo(outcome.waitSec.mean * outcome.tasks, -1);
  });
});

const anyTasks = fc
  .array(fc.record({ atMs: fc.integer({ min: 0, max: 3_600_000 }), seconds: fc.integer({ min: 0, max: 900 }) }), {
    minLength: 1,
    maxLength: 40,
  })
  .map((all) => all.map((each) => ({ ...each, type: "t" })).toSorted((a, b) => a.atMs - b.atMs));
const anySettings = fc.record({
  SCALING_POLICY: fc.constantFrom("threshold", "workload"),
  MIN_ACTIVE_GPUS: fc.constantFrom("0", "1", "3"),
  MAX_ACTIVE_GPUS: fc.constantFrom("3", "100"),
  MACHINES_TO_KEEP_IDLE: fc.constantFrom("0", "2"),
  SCALE_DOWN_IDLE_SEC: fc.constantFrom("0", "60", "600"),
});

describe("short tasks in a pool that is too large", () => {
  const burst = Array.from({ length: 26 }, () => ({ atMs: 0, seconds: 5, type: "t" }));
  const steady = Array.from({ length: 3_600 }, (_, n) => ({ atMs: 106_000 + n * 500, seconds: 5, type: "t" }));
  const resting = settings({
    SCALING_POLICY: "threshold",
    TASKS_PER_GPU_THRESHOLD: "1",
    MAX_ACTIVE_GPUS: "26",
    SCALE_DOWN_IDLE_SEC: "57",
  });
  const gpuSec = (claims: Circumstances["claims"]) =>
    simulate(sizingOf(resting), [...burst, ...steady], { ...AT_ONCE, claims, watchIntervalMs: 500 }).gpuSec;

  it("let more workers rest until they leave if the rested ones ask less often", () => {
    expect(gpuSec("as_polled")).toBeLessThan(gpuSec("random"));
    expect(gpuSec("least_rested")).toBeLessThan(gpuSec("as_polled"));
  });
});

describe("for any tasks and settings, a simulated pool", () => {
  it("serves every task once, and pays for boots, tasks and rests alone", () => {
    fc.assert(
      fc.property(
        anyTasks,
        anySettings,
        fc.constantFrom("least_rested", "as_polled", "random"),
        (arrivals, set, claims) => {
          const circumstances = { ...AT_ONCE, bootSigma: 0.4, watchIntervalMs: 500, claims } as const;
          const outcome = simulate(sizingOf(settings(set)), arrivals, circumstances);
          const work = arrivals.reduce((total, { seconds }) => total + seconds, 0);
          expect(outcome.unserved).toBe(0);
          expect(outcome.busySec).toBeCloseTo(work, 6);
          expect(outcome.idleSec).toBeGreaterThanOrEqual(-1e-6);
          expect(outcome.peak).toBeLessThanOrEqual(Number(set.MAX_ACTIVE_GPUS));
          expect(outcome.waitSec.p50).toBeLessThanOrEqual(outcome.waitSec.p95);
          expect(simulate(sizingOf(settings(set)), arrivals, circumstances)).toEqual(outcome);
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("the policy latency in virtual time", () => {
  const arrivals = generate({ ...LOAD, days: 1, silentHours: 0 });
  const free = { SCALING_POLICY: "latency", MAX_ACTIVE_GPUS: "1000" };
  const live = (set: Readonly<Record<string, string>>) =>
    simulate(sizingOf(settings({ ...free, ...set })), arrivals, { ...AT_ONCE, watchIntervalMs: 500 });

  it("lets tasks wait less and costs more, the more waiting is worth", () => {
    const [little, much] = [live({ WAIT_VALUE: "0.3" }), live({ WAIT_VALUE: "5" })];
    expect(much.waitSec.mean).toBeLessThan(little.waitSec.mean / 2);
    expect(much.gpuSec).toBeGreaterThan(little.gpuSec * 1.1);
  });

  it("learns towards a target wait", () => {
    const { waitSec } = live({ TARGET_WAIT_SEC: "60" });
    expect(waitSec.p95).toBeGreaterThan(45);
    expect(waitSec.p95).toBeLessThan(75);
  });
});
