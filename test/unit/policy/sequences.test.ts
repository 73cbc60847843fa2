import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import type { ObservedWorker } from "../../../src/policy/observation.ts";
import type { PolicySettings } from "../../../src/policy/settings.ts";
import {
  anySettings,
  busy,
  idle,
  NOW,
  observe,
  SEC,
  SETTINGS,
  spawning,
  spawnOf,
  task,
  undisturbed,
} from "../../kit/policy.ts";

const MINUTE = 60 * SEC;

type Sim = { -readonly [K in keyof ObservedWorker]: ObservedWorker[K] };

describe("under a constant load", () => {
  /** One minute, in which one task ends; `tasks` are queued or run at all times. @returns how many workers it spawns and drains. */
  function minute(settings: PolicySettings, tasks: number, fleet: Sim[], nowMs: number, launched: number): number[] {
    const gone = fleet.filter(({ status }) => status === "terminating");
    gone.forEach((worker) => fleet.splice(fleet.indexOf(worker), 1));
    for (const worker of fleet) {
      const readyMs = worker.readyMs ?? nowMs;
      Object.assign(worker, { status: "active", readyMs, heartbeatMs: nowMs, signal: "ready" });
    }
    const ended = fleet.find((worker) => worker.task !== null);
    Object.assign(ended ?? {}, { task: null, releasedMs: nowMs });
    const free = () => fleet.findLast((worker) => worker.task === null);
    const running = () => fleet.filter((worker) => worker.task !== null).length;
    while (running() < Math.min(tasks, fleet.length)) {
      Object.assign(free() ?? {}, { task: task({ startedMs: nowMs }) });
    }
    for (const worker of fleet.filter((each) => each.task !== null)) {
      worker.task = task({ startedMs: nowMs, progressMs: nowMs });
    }
    const queued = tasks - running();
    const seen = observe(fleet, { nowMs, queued, launchedLastMinute: launched });
    const { actions } = decide(settings, seen);
    const spawned = spawnOf(actions)?.count ?? 0;
    let drained = 0;
    for (const action of actions) {
      if (action.kind === "signal" && action.signal.name === "drain") {
        Object.assign(fleet.find(({ id }) => id === action.worker) ?? {}, { status: "terminating" });
        drained += 1;
      }
    }
    fleet.push(...Array.from({ length: spawned }, () => ({ ...spawning({ createdMs: nowMs, readyMs: null }) })));
    return [spawned, drained];
  }

  it("a pool comes to rest under both policies, with any multipliers, from any size", () => {
    const load = fc.record({ tasks: fc.integer({ min: 0, max: 30 }), present: fc.integer({ min: 0, max: 25 }) });
    const model = fc.property(anySettings, fc.integer({ min: 1, max: 5 }), load, (drawn, rate, { tasks, present }) => {
      const settings = { ...undisturbed(drawn, observe([]))[0], maxLaunchesPerMinute: rate, gpuIdleTimeoutSec: 900 };
      const fleet: Sim[] = Array.from({ length: present }, () => ({ ...idle() }));
      const moves = Array.from({ length: 80 }, (_, n) => minute(settings, tasks, fleet, NOW + n * MINUTE, 0));
      expect(moves.slice(55).flat()).toEqual(Array.from({ length: 50 }, () => 0));
    });
    fc.assert(model, { numRuns: 150 });
  });
});

describe("the blast radius", () => {
  const FIVE_MINUTES = 5 * MINUTE;
  const step = fc.record({
    afterSec: fc.integer({ min: 1, max: 90 }),
    /** The workers that fall silent or make no progress, by index. */
    silent: fc.array(fc.nat(30), { maxLength: 6 }),
    stuck: fc.array(fc.nat(30), { maxLength: 6 }),
    replaced: fc.integer({ min: 0, max: 4 }),
    takesEffect: fc.boolean(),
  });

  it("is never exceeded: suspicions end at most half of the fleet in five minutes", () => {
    const model = fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 25 }), (size, steps) => {
      const fleet: Sim[] = Array.from({ length: size }, () => ({ ...busy() }));
      const silent = new Set<string>();
      const stuck = new Set<string>();
      const underWay = new Set<Sim>();
      const ended: number[] = [];
      let nowMs = NOW;
      for (const { afterSec, takesEffect, ...each } of steps) {
        nowMs += afterSec * SEC;
        for (const worker of underWay) {
          // A signal takes effect at once or a little later, but before it would be repeated.
          if (takesEffect || nowMs - (worker.signalMs ?? 0) > 25 * SEC) {
            underWay.delete(worker);
            fleet.splice(fleet.indexOf(worker), 1);
            ended.push(nowMs);
          }
        }
        fleet.push(...Array.from({ length: each.replaced }, () => ({ ...busy({ readyMs: nowMs }) })));
        each.silent.forEach((index) => silent.add(fleet[index]?.id ?? ""));
        each.stuck.forEach((index) => stuck.add(fleet[index]?.id ?? ""));
        for (const worker of fleet) {
          const heartbeatMs = silent.has(worker.id) ? nowMs - 301 * SEC : nowMs;
          const progressMs = stuck.has(worker.id) ? nowMs - 601 * SEC : nowMs;
          Object.assign(worker, { heartbeatMs, task: task({ progressMs, startedMs: NOW }) });
        }
        const failedRecently = ended.filter((at) => nowMs - at < FIVE_MINUTES).length;
        const { actions } = decide(SETTINGS, observe(fleet, { nowMs, failedRecently }));
        let failed = 0;
        for (const action of actions) {
          const worker = fleet.find(({ id }) => action.kind === "signal" && id === action.worker);
          if (worker !== undefined && action.kind === "signal" && action.signal.name === "fail") {
            failed += 1;
            underWay.add(worker);
            Object.assign(worker, { signal: "fail", signalMs: nowMs });
          }
        }
        const limit = Math.max(1, Math.floor((fleet.length + failedRecently) / 2));
        expect(failed === 0 || failedRecently + underWay.size <= limit).toBe(true);
      }
    });
    fc.assert(model, { numRuns: 500 });
  });
});
