import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Rule } from "../../../../src/contract/plan.ts";
import { missedTarget } from "../../../../src/policy/latency/missed-target.ts";
import { learnt } from "../../../../src/policy/latency/wait-target.ts";
import { learnsUnder, waitTargetOf } from "../../../../src/policy/latency/wait-value.ts";
import type { PolicySettings } from "../../../../src/policy/settings.ts";
import { observe, SETTINGS } from "../../../kit/policy.ts";

const LATENCY: PolicySettings = { ...SETTINGS, policy: "latency", targetWaitSec: 60 };
const TARGET = waitTargetOf(LATENCY, 120, true)!;

describe("WAIT_VALUE, while it is learnt for a target", () => {
  it("rises with each late start and falls with each other one", () => {
    expect(learnt(2, TARGET, { starts: 1, late: 1 })).toBeCloseTo(2 * Math.exp(0.02 * 0.95), 9);
    expect(learnt(2, TARGET, { starts: 1, late: 0 })).toBeCloseTo(2 * Math.exp(-0.02 * 0.05), 9);
    expect(learnt(2, TARGET, { starts: 100, late: 5 })).toBeCloseTo(2, 9);
    expect(learnt(2, TARGET, { starts: 0, late: 0 })).toBe(2);
  });

  it("allows as many late starts as the percentile says", () => {
    const half = waitTargetOf({ ...LATENCY, targetWaitPercentile: 50 }, 120, true)!;
    expect(learnt(2, half, { starts: 10, late: 5 })).toBeCloseTo(2, 9);
    expect(learnt(2, half, { starts: 10, late: 4 })).toBeLessThan(2);
  });

  it("begins with what is usual for the target and the boots, and stays within its limits", () => {
    expect(learnt(null, TARGET, { starts: 0, late: 0 })).toBeCloseTo(2 ** 2.5, 9);
    expect(learnt(90, TARGET, { starts: 1000, late: 1000 })).toBe(100);
    expect(learnt(0.02, TARGET, { starts: 10_000, late: 0 })).toBe(0.01);
  });

  it("stands still while something else than the policy keeps the pool small", () => {
    expect(learnt(2, { ...TARGET, learns: false }, { starts: 100, late: 100 })).toBe(2);
    expect((["latency", "min", "idle_buffer"] as const).map(learnsUnder)).toEqual([true, true, true]);
    expect((["max", "hold", "paused", "budget", "breaker", "funds"] as const).some(learnsUnder)).toBe(false);
  });

  it("is finite and within its limits for every step", () => {
    const count = fc.integer({ min: 0, max: 1_000_000 });
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 1e9, noNaN: true }), count, count, (before, starts, late) => {
        const next = learnt(before, TARGET, { starts: Math.max(starts, late), late: Math.min(starts, late) });
        expect(next).toBeGreaterThanOrEqual(TARGET.lowest);
        expect(next).toBeLessThanOrEqual(TARGET.highest);
      }),
    );
  });

  it("is not learnt by another policy, or without a target", () => {
    expect(waitTargetOf({ ...LATENCY, policy: "workload" }, 120, true)).toBeNull();
    expect(waitTargetOf({ ...LATENCY, targetWaitSec: undefined }, 120, true)).toBeNull();
  });
});

describe("a target that is not held", () => {
  function message(
    waitValue: number | null,
    sec: number | null,
    rule: Rule = "latency",
    settings: Partial<PolicySettings> = {},
  ) {
    const waited = sec === null ? null : { starts: 400, sec };
    const measured = { bootSec: 118, services: [], priorsSec: {}, demand: [], coming: [], waitValue, waited };
    return missedTarget({ ...LATENCY, ...settings }, observe([], { measured }), rule);
  }

  it("is told of with what can be reached, once WAIT_VALUE has come to its limit", () => {
    expect(message(99, 94.3)).toBe(
      "TARGET_WAIT_SEC 60 at percentile 95 is not held: about 95 s is, " +
        "with WAIT_VALUE at its limit MAX_WAIT_VALUE 100 and boots of about 120 s",
    );
    expect(message(50, 94.3)).toBeNull();
  });

  it("is told of where MAX keeps the pool too small", () => {
    expect(message(3, 1234, "max")).toBe(
      "TARGET_WAIT_SEC 60 at percentile 95 is not held: about 1300 s is, because MAX_ACTIVE_GPUS 10 keeps the pool smaller than wanted",
    );
    expect(message(3, 1234, "min")).toBeNull();
  });

  it("is no matter while the target is held, nothing was measured, or there is none", () => {
    expect(message(100, 60)).toBeNull();
    expect(message(100, null)).toBeNull();
    expect(message(null, 94)).toBeNull();
    expect(message(100, 94, "max", { targetWaitSec: undefined })).toBeNull();
    expect(message(100, 94, "max", { policy: "threshold" })).toBeNull();
    expect(missedTarget(LATENCY, observe([]), "max")).toBeNull();
  });
});
