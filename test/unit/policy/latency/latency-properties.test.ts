import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sortFleet } from "../../../../src/policy/fleet.ts";
import { type LatencyWanted, wantedByLatency } from "../../../../src/policy/latency/latency.ts";
import type { Measured } from "../../../../src/policy/latency/measured.ts";
import { normalQuantile } from "../../../../src/policy/latency/normal.ts";
import { lookAhead } from "../../../../src/policy/latency/outlook.ts";
import { ServiceBook, shareThatRunsOn } from "../../../../src/policy/latency/service-times.ts";
import type { Observation } from "../../../../src/policy/observation.ts";
import { anyMeasured, anyObservation, busy, NOW, observe, SEC, SETTINGS, task, times } from "../../../kit/policy.ts";

const anyWaitValue = fc.double({ min: 0.01, max: 1000, noNaN: true });

function wanted(observation: Observation, waitValue: number): LatencyWanted {
  const settings = { ...SETTINGS, policy: "latency", waitValue } as const;
  return wantedByLatency(settings, observation, sortFleet(observation, new Set()));
}

function always(check: (observation: Observation, waitValue: number, other: number) => void): void {
  fc.assert(fc.property(anyObservation, anyWaitValue, anyWaitValue, check), { numRuns: 1000 });
}

describe("for every observation, the policy latency", () => {
  it("wants a whole, bounded number of workers, never keeps fewer than it wants, and lets idle ones leave some time", () => {
    always((observation, waitValue) => {
      const { size, keep, restSec, reason } = wanted(observation, waitValue);
      expect(Number.isSafeInteger(size) && Number.isSafeInteger(keep)).toBe(true);
      expect(size).toBeGreaterThanOrEqual(observation.queued > 0 ? 1 : 0);
      expect(keep).toBeGreaterThanOrEqual(size);
      expect(restSec).toBeGreaterThanOrEqual(0);
      expect(restSec).toBeLessThanOrEqual(43_200);
      expect(reason).not.toMatch(/NaN|Infinity|undefined|null|e\+/);
    });
  });

  it("wants and keeps no fewer when waiting is worth more", () => {
    always((observation, one, other) => {
      const [low, high] = [wanted(observation, Math.min(one, other)), wanted(observation, Math.max(one, other))];
      expect(high.size).toBeGreaterThanOrEqual(low.size);
      expect(high.keep).toBeGreaterThanOrEqual(low.keep);
    });
  });

  it("wants and keeps no fewer when more is queued", () => {
    always((observation, waitValue, more) => {
      const longer = { ...observation, queued: observation.queued + Math.ceil(more) };
      const [before, after] = [wanted(observation, waitValue), wanted(longer, waitValue)];
      expect(after.size).toBeGreaterThanOrEqual(before.size);
      expect(after.keep).toBeGreaterThanOrEqual(before.keep);
    });
  });

  it("with longer boots expects more arrivals, wants no more for a queue alone, and lets idle workers rest no shorter", () => {
    const boots = fc.tuple(fc.integer({ min: 1, max: 3600 }), fc.integer({ min: 1, max: 3600 }));
    fc.assert(
      fc.property(
        anyMeasured,
        boots,
        anyWaitValue,
        fc.integer({ min: 1, max: 500 }),
        (drawn, [one, other], waitValue, queued) => {
          const withBoot = (bootSec: number, change: Partial<Measured>) =>
            observe([], { queued, measured: { ...drawn, coming: [], bootSec, ...change } });
          const [short, long] = [Math.min(one, other), Math.max(one, other)];
          const noArrivals = { demand: drawn.demand.map((kind) => ({ ...kind, arrivalsPerSec: 0 })) };
          const queueAlone = [short, long].map((boot) => wanted(withBoot(boot, noArrivals), waitValue));
          expect(queueAlone[1]!.size).toBeLessThanOrEqual(queueAlone[0]!.size);
          expect(queueAlone[1]!.restSec).toBeGreaterThanOrEqual(queueAlone[0]!.restSec);
          const outlooks = [short, long].map((bootSec) => {
            const observation = withBoot(bootSec, {});
            const horizon = { aheadSec: 0.75 * bootSec, bootSec, waitValue };
            return lookAhead(observation, sortFleet(observation, new Set()), horizon);
          });
          expect(outlooks[1]!.variance).toBeGreaterThanOrEqual(outlooks[0]!.variance);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("expects a running task to last with a chance from 0 to 1, the smaller the farther it looks", () => {
    fc.assert(
      fc.property(
        anyMeasured,
        fc.double({ min: -1e6, max: 1e9, noNaN: true }),
        anyWaitValue,
        anyWaitValue,
        (drawn, elapsed, one, other) => {
          const { typical } = new ServiceBook(drawn);
          const near = shareThatRunsOn(typical, elapsed, Math.min(one, other));
          const far = shareThatRunsOn(typical, elapsed, Math.max(one, other));
          expect(near).toBeLessThanOrEqual(1);
          expect(far).toBeGreaterThanOrEqual(0);
          expect(far).toBeLessThanOrEqual(near + 1e-12);
        },
      ),
    );
  });

  it("takes a thousand types and a thousand workers in good time", () => {
    const kinds = Array.from({ length: 1000 }, (_, n) => ({ taskType: `type ${n}`, model: null }));
    const quantilesSec = Array.from({ length: 21 }, (_, n) => 10 * n);
    const fleet = times(1000, () => busy({ task: task({ ...kinds[0]!, startedMs: NOW - 50 * SEC }) }));
    const measured: Measured = {
      bootSec: 120,
      services: kinds.map((kind) => ({ ...kind, samples: 400, quantilesSec })),
      priorsSec: {},
      demand: kinds.map((kind) => ({ ...kind, queued: 1, arrivalsPerSec: 0.001 })),
      coming: [],
      waitValue: null,
      waited: null,
    };
    const { size } = wanted(observe(fleet, { queued: 1000, measured }), 2);
    // Each of the running tasks goes on with a chance of 0.4; 70 more arrive.
    expect(size).toBeGreaterThan(1400);
    expect(size).toBeLessThan(1500);
  });
});

describe("the quantiles of the normal distribution", () => {
  it.each([
    [0.5, 0],
    [0.8413447, 1],
    [0.0227501, -2],
    [0.975, 1.959964],
    [0.999, 3.090232],
    [0.1, -1.281552],
  ])("at %d are %d", (p, z) => {
    expect(normalQuantile(p)).toBeCloseTo(z, 5);
  });

  it("are finite and rise", () => {
    const zs = Array.from({ length: 1001 }, (_, n) => normalQuantile(n / 1000));
    expect(zs.every(Number.isFinite)).toBe(true);
    expect(zs).toEqual(zs.toSorted((a, b) => a - b));
  });
});
