import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import type { ObservedWorker } from "../../../src/policy/observation.ts";
import type { PolicySettings } from "../../../src/policy/settings.ts";
import { observe, SEC, SETTINGS, spawning, task } from "../../kit/policy.ts";

const START = 1_800_000_000_000;
const STEP_MS = 5 * SEC;

type SimWorker = { -readonly [K in keyof ObservedWorker]: ObservedWorker[K] };

interface Load {
  /** How many tasks arrive in each step. */
  arrivals(step: number): number;
  readonly taskSec: number;
  readonly bootSec: number;
}

interface Step {
  readonly present: number;
  readonly queued: number;
  readonly spawned: number;
  readonly drained: number;
}

/** A tiny fleet in virtual time: workers boot, claim one task each, finish it, and leave one step after their drain. */
function simulate(settings: PolicySettings, load: Load, steps: number): Step[] {
  let fleet: SimWorker[] = [];
  let queued = 0;
  const done: Step[] = [];
  for (let step = 0; step < steps; step++) {
    const nowMs = START + step * STEP_MS;
    queued += load.arrivals(step);
    fleet = fleet.filter(({ status }) => status !== "terminating");
    for (const worker of fleet) {
      worker.heartbeatMs = worker.status === "active" ? nowMs : null;
      if (worker.status === "spawning" && nowMs - worker.createdMs >= load.bootSec * SEC) {
        Object.assign(worker, { status: "active", readyMs: nowMs, heartbeatMs: nowMs });
      }
      if (worker.task !== null && nowMs - worker.task.startedMs >= load.taskSec * SEC) {
        Object.assign(worker, { task: null, releasedMs: nowMs });
      }
      if (worker.status === "active" && worker.task === null && queued > 0) {
        queued -= 1;
        worker.task = task({ startedMs: nowMs, progressMs: nowMs });
      }
    }
    const { actions } = decide(settings, observe(fleet, { nowMs, observingSinceMs: START, queued }));
    const counts = { spawned: 0, drained: 0 };
    for (const action of actions) {
      if (action.kind === "spawn") {
        counts.spawned += action.count;
        for (let n = 0; n < action.count; n++) {
          fleet.push({ ...spawning({ createdMs: nowMs, costPerHourUsd: 0.5 }) });
        }
      } else {
        const worker = fleet.find(({ id }) => id === action.worker);
        Object.assign(worker ?? {}, { signal: action.signal.name, signalMs: nowMs });
        if (action.signal.name === "drain" && worker?.task === null) {
          worker.status = "terminating";
          counts.drained += 1;
        }
      }
    }
    const present = fleet.filter(({ status }) => status !== "terminating").length;
    done.push({ present, queued, ...counts });
  }
  return done;
}

function sum(steps: readonly Step[], of: (step: Step) => number) {
  return steps.reduce((total, step) => total + of(step), 0);
}

describe("a simulated fleet", () => {
  it("grows for a batch, completes it, and goes back to zero without a further order", () => {
    const steps = simulate(SETTINGS, { arrivals: (step) => (step === 0 ? 12 : 0), taskSec: 120, bootSec: 60 }, 300);
    expect(Math.max(...steps.map(({ present }) => present))).toBe(4);
    expect(sum(steps, ({ spawned }) => spawned)).toBe(4);
    expect(sum(steps, ({ drained }) => drained)).toBe(4);
    expect(steps.at(-1)).toEqual({ present: 0, queued: 0, spawned: 0, drained: 0 });
  });

  it("goes down to MIN and no further when nothing is queued", () => {
    const settings = { ...SETTINGS, minActiveGpus: 2 };
    const steps = simulate(settings, { arrivals: (step) => (step === 0 ? 15 : 0), taskSec: 60, bootSec: 30 }, 300);
    expect(steps.at(-1)).toEqual({ present: 2, queued: 0, spawned: 0, drained: 0 });
    expect(sum(steps, ({ drained }) => drained)).toBe(3);
  });

  it.for([
    ["a task a minute that takes three", 12, 180],
    ["a task every ten seconds that takes half a minute", 2, 30],
    ["a task every twenty seconds that takes two minutes", 4, 120],
  ] as const)("does not oscillate under a constant load: %s", ([, every, taskSec]) => {
    const load = { arrivals: (step: number) => Number(step % every === 0), taskSec, bootSec: 60 };
    const steps = simulate(SETTINGS, load, 1200);
    const settled = steps.slice(300);
    expect(sum(settled, ({ spawned }) => spawned)).toBe(0);
    expect(sum(settled, ({ drained }) => drained)).toBe(0);
    expect(new Set(settled.map(({ present }) => present)).size).toBe(1);
    expect(Math.max(...settled.map(({ queued }) => queued))).toBeLessThan(SETTINGS.tasksPerGpuThreshold * 10);
  });

  it("does not alternate between spawns and drains when tasks come at a constant rate and end before SCALE_DOWN_IDLE_SEC", () => {
    const drawn = fc.record({
      policy: fc.constantFrom("threshold", "workload"),
      minActiveGpus: fc.integer({ min: 0, max: 2 }),
      maxActiveGpus: fc.integer({ min: 2, max: 40 }),
      tasksPerGpuThreshold: fc.integer({ min: 1, max: 6 }),
      scaleUpMultiplier: fc.double({ min: 0.5, max: 2, noNaN: true }),
      scaleDownMultiplier: fc.double({ min: 0, max: 2, noNaN: true }),
      machinesToKeepIdle: fc.integer({ min: 0, max: 3 }),
      scaleDownIdleSec: fc.integer({ min: 60, max: 120 }),
    });
    const load = fc.record({
      atOnce: fc.integer({ min: 1, max: 3 }),
      everySteps: fc.integer({ min: 1, max: 11 }),
      taskSec: fc.integer({ min: 1, max: 59 }),
      bootSec: fc.integer({ min: 5, max: 120 }),
    });
    const model = fc.property(drawn, load, (settings, { atOnce, everySteps, ...times }) => {
      const arrivals = (step: number) => (step % everySteps === 0 ? atOnce : 0);
      const settled = simulate({ ...SETTINGS, ...settings }, { arrivals, ...times }, 400).slice(200);
      const moves = settled.map(({ spawned, drained }) => Math.sign(spawned - drained)).filter((move) => move !== 0);
      const turns = moves.filter((move, index) => index > 0 && move !== moves[index - 1]);
      expect(turns.length).toBeLessThanOrEqual(1);
    });
    fc.assert(model, { numRuns: 200 });
  });

  it("orders no worker twice for the same queue while the first ones boot", () => {
    const steps = simulate(SETTINGS, { arrivals: (step) => (step === 0 ? 9 : 0), taskSec: 600, bootSec: 300 }, 60);
    expect(steps.map(({ spawned }) => spawned)).toEqual([3, ...Array.from({ length: 59 }, () => 0)]);
  });

  it("never has more workers than MAX, however many tasks come", () => {
    const steps = simulate(SETTINGS, { arrivals: () => 7, taskSec: 90, bootSec: 60 }, 200);
    expect(Math.max(...steps.map(({ present }) => present))).toBe(SETTINGS.maxActiveGpus);
  });
});
