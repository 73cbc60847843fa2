import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide } from "../../src/policy/decide.ts";
import { isCapacity, sortFleet } from "../../src/policy/fleet.ts";
import { judgeHealth } from "../../src/policy/health.ts";
import type { Observation, ObservedWorker } from "../../src/policy/observation.ts";
import type { PolicySettings } from "../../src/policy/settings.ts";
import { anyObservation, anySettings, NOW, SEC, spawnOf, told } from "./policy-kit.ts";

function always(check: (settings: PolicySettings, observation: Observation) => void): void {
  fc.assert(fc.property(anySettings, anyObservation, check), { numRuns: 500 });
}

const normally = (observation: Observation): Observation => ({
  ...observation,
  intent: { ...observation.intent, mode: "normal", hold: null },
});

describe("whatever is observed, a decision", () => {
  it("never lets spawning take the present fleet above MAX", () => {
    always((settings, observation) => {
      const ending = new Set(judgeHealth(settings, observation).map(({ worker }) => worker));
      const counted = observation.fleet.filter((worker) => isCapacity(settings, observation, worker));
      const { present } = sortFleet({ ...observation, fleet: counted }, ending);
      const count = spawnOf(decide(settings, observation).actions)?.count ?? 0;
      expect(count === 0 || present + count <= settings.maxActiveGpus).toBe(true);
      expect(Number.isSafeInteger(count)).toBe(true);
    });
  });

  it("never drains a busy or booting worker in normal mode, and every drain lets a claimed task be", () => {
    always((settings, observation) => {
      const { actions } = decide(settings, normally(observation));
      const byId = new Map(observation.fleet.map((worker) => [worker.id, worker]));
      for (const id of told(actions, "drain")) {
        expect(byId.get(id)).toMatchObject({ task: null, status: "active", origin: "pool" });
      }
      expect(JSON.stringify(actions)).not.toContain('"onlyIdle":false');
    });
  });

  it("never drains below MIN ready workers in normal mode", () => {
    always((settings, observation) => {
      const before = normally(observation);
      const { actions } = decide(settings, before);
      const ending = new Set(judgeHealth(settings, before).map(({ worker }) => worker));
      const counted = before.fleet.filter((worker) => isCapacity(settings, before, worker));
      const { idle, busy } = sortFleet({ ...before, fleet: counted }, ending);
      const drained = told(actions, "drain").length;
      expect(drained === 0 || idle.length + busy.length - drained >= settings.minActiveGpus).toBe(true);
    });
  });

  it("never both adds and drains", () => {
    always((settings, observation) => {
      const { actions } = decide(settings, observation);
      expect(spawnOf(actions) !== undefined && told(actions, "drain").length > 0).toBe(false);
    });
  });

  it("tells no worker two things", () => {
    always((settings, observation) => {
      const workers = decide(settings, observation).actions.flatMap((action) =>
        action.kind === "signal" ? [action.worker] : [],
      );
      expect(new Set(workers).size).toBe(workers.length);
    });
  });

  it("holds no scaling while paused, but the same verdicts as in any other mode", () => {
    always((settings, observation) => {
      const inMode = (mode: "paused" | "normal") =>
        decide(settings, { ...observation, intent: { ...observation.intent, mode } }).actions;
      const paused = inMode("paused");
      expect(spawnOf(paused)).toBeUndefined();
      expect(told(paused, "drain")).toEqual([]);
      expect(told(paused, "fail")).toEqual(told(inMode("normal"), "fail"));
    });
  });

  it("bounds a hold by MAX", () => {
    always((settings, observation) => {
      const hold = 1 + settings.maxActiveGpus + observation.queued;
      const held = { ...observation, intent: { ...observation.intent, mode: "normal" as const, hold } };
      expect(decide(settings, held).snapshot.desired).toBe(settings.maxActiveGpus);
    });
  });

  it("wants no less of a longer queue, and drains no more for it", () => {
    fc.assert(
      fc.property(anySettings, anyObservation, fc.integer({ min: 1, max: 50 }), (settings, observation, more) => {
        const short = decide(settings, normally(observation));
        const long = decide(settings, normally({ ...observation, queued: observation.queued + more }));
        expect(long.snapshot.desired).toBeGreaterThanOrEqual(short.snapshot.desired);
        expect(told(long.actions, "drain").length).toBeLessThanOrEqual(told(short.actions, "drain").length);
        expect(spawnOf(long.actions)?.count ?? 0).toBeGreaterThanOrEqual(spawnOf(short.actions)?.count ?? 0);
      }),
      { numRuns: 500 },
    );
  });

  it("is the same for the same observation, whatever was decided between", () => {
    always((settings, observation) => {
      const frozen = JSON.stringify(observation);
      const first = decide(settings, observation);
      decide(settings, { ...observation, queued: observation.queued + 99 });
      expect(decide(settings, structuredClone(observation))).toEqual(first);
      expect(JSON.stringify(observation)).toBe(frozen);
    });
  });

  it("orders nothing anew of a worker within thirty seconds of an order", () => {
    always((settings, observation) => {
      const fleet = observation.fleet.map((worker): ObservedWorker => ({
        ...worker,
        signal: "fail",
        signalMs: NOW - 29 * SEC,
      }));
      const { actions } = decide(settings, { ...observation, fleet });
      expect(told(actions, "fail")).toEqual([]);
      expect(told(actions, "drain")).toEqual([]);
    });
  });

  it("repeats an order that had no effect for thirty seconds", () => {
    always((settings, observation) => {
      const signalled = (signal: string | null, signalMs: number | null): Observation => ({
        ...observation,
        fleet: observation.fleet.map((worker): ObservedWorker => ({ ...worker, signal, signalMs })),
      });
      const [never, long] = [signalled("ready", null), signalled("drain", NOW - 30 * SEC)];
      for (const order of ["fail", "drain"]) {
        expect(told(decide(settings, long).actions, order)).toEqual(told(decide(settings, never).actions, order));
      }
    });
  });
});
