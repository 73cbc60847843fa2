import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import { hasPendingOrder, sortFleet } from "../../../src/policy/fleet.ts";
import { idleSinceMs } from "../../../src/policy/idle-drain.ts";
import {
  busy,
  idle,
  intent,
  NOW,
  observe,
  SEC,
  SETTINGS,
  spawning,
  spawnOf,
  spend,
  task,
  terminating,
  signalled,
} from "../../kit/policy.ts";

function ago(sec: number) {
  return NOW - sec * SEC;
}

describe("the signals ready and released", () => {
  it("signals ready once", () => {
    const [news, known] = [busy({ signal: null, signalMs: null }), busy()];
    expect(signalled(decide(SETTINGS, observe([news, known])).actions, "ready")).toEqual([news.id]);
  });

  it("signals released to a leaving worker once, when its task has ended", () => {
    const [free, holding, knows] = [
      terminating({ signal: "drain" }),
      terminating({ signal: "drain", task: task() }),
      terminating(),
    ];
    expect(signalled(decide(SETTINGS, observe([free, holding, knows])).actions, "released")).toEqual([free.id]);
  });

  it("signals released again after two minutes: the process that should have sent it may have died", () => {
    const [lately, longAgo] = [terminating({ signalMs: ago(119) }), terminating({ signalMs: ago(120) })];
    expect(signalled(decide(SETTINGS, observe([lately, longAgo])).actions, "released")).toEqual([longAgo.id]);
  });

  it("signals neither to a worker that the same decision ends or drains", () => {
    const [sick, spare] = [
      idle({ signal: null, signalMs: null, pod: { kind: "absent" } }),
      idle({ signal: null, signalMs: null }),
    ];
    const { actions } = decide(SETTINGS, observe([sick, spare]));
    expect(signalled(actions, "ready")).toEqual([]);
    expect(signalled(actions, "fail")).toEqual([sick.id]);
    expect(signalled(actions, "drain")).toEqual([spare.id]);
  });

  it("signals them while the pool is paused too", () => {
    const news = busy({ signal: null, signalMs: null });
    expect(signalled(decide(SETTINGS, observe([news], intent({ mode: "paused" }))).actions, "ready")).toEqual([
      news.id,
    ]);
  });
});

describe("pending orders", () => {
  it("are not repeated within thirty seconds, and are repeated after them", () => {
    const drained = (sec: number) => decide(SETTINGS, observe([idle({ signal: "drain", signalMs: ago(sec) })])).actions;
    expect(drained(0)).toEqual([]);
    expect(drained(29)).toEqual([]);
    expect(signalled(drained(30), "drain")).toHaveLength(1);
  });

  it("make a worker count as gone: no other worker is drained in its place, and a replacement is ordered", () => {
    const leaving = idle({ signal: "drain", signalMs: ago(5) });
    const keepOne = { ...SETTINGS, minActiveGpus: 1 };
    expect(decide(keepOne, observe([leaving, idle()])).actions).toEqual([]);
    expect(spawnOf(decide(SETTINGS, observe([leaving], { queued: 3 })).actions)?.count).toBe(1);
  });

  it("are drain, fail and terminate only", () => {
    expect(hasPendingOrder(idle({ signal: "ready", signalMs: NOW }), NOW)).toBe(false);
    expect(hasPendingOrder(idle({ signal: "released", signalMs: NOW }), NOW)).toBe(false);
    for (const signal of ["drain", "fail", "terminate"]) {
      expect(hasPendingOrder(idle({ signal, signalMs: NOW }), NOW)).toBe(true);
    }
  });
});

describe("the sorted fleet", () => {
  it("holds each living worker exactly once, and counts spawning, idle and busy ones as present", () => {
    const [boots, rests, works, ordered, ended, leaves, sick] = [
      spawning(),
      idle(),
      busy(),
      busy({ signal: "drain", signalMs: ago(3) }),
      idle(),
      terminating(),
      idle({ status: "error" }),
    ];
    const fleet = sortFleet(observe([boots, rests, works, ordered, ended, leaves, sick]), new Set([ended.id]));
    expect(fleet).toEqual({
      spawning: [boots],
      idle: [rests],
      busy: [works],
      leaving: [ordered, ended],
      terminating: [leaves],
      failing: [sick],
      present: 3,
    });
  });

  it("counts idle time from ready or from the end of the last task, whichever is later (invariant 8)", () => {
    expect(idleSinceMs(idle({ readyMs: ago(90), releasedMs: null }))).toBe(ago(90));
    expect(idleSinceMs(idle({ readyMs: ago(90), releasedMs: ago(20) }))).toBe(ago(20));
    expect(idleSinceMs(idle({ readyMs: ago(10), releasedMs: ago(20) }))).toBe(ago(10));
    expect(idleSinceMs(idle({ readyMs: null, createdMs: ago(70) }))).toBe(ago(70));
  });
});

describe("the snapshot", () => {
  it("holds the counts, the cost per hour and the reason", () => {
    const fleet = [
      spawning(),
      idle(),
      busy(),
      terminating(),
      busy({ signal: "drain", signalMs: NOW }),
      idle({ status: "error" }),
    ];
    const observation = observe(fleet, {
      queued: 4,
      ...intent({ version: 7 }),
      ...spend({ hourlyUsd: 3.1 + 0.2, todayUsd: 12 }),
    });
    expect(decide(SETTINGS, observation).snapshot).toEqual({
      observedAt: new Date(NOW).toISOString(),
      intent: observation.intent,
      desired: 3,
      queued: 4,
      spawning: 1,
      idle: 1,
      busy: 1,
      terminating: 2,
      failing: 1,
      costPerHourUsd: 3,
      spend: { hourlyUsd: 3.3, todayUsd: 12 },
      breaker: "closed",
      schedule: null,
      suspended: null,
      rule: "threshold",
      reason: "4 queued for 3 present: within threshold 3, 1 spawning counts → stay",
    });
  });

  it("adds up prices without the errors of binary fractions", () => {
    const fleet = [busy({ costPerHourUsd: 0.1 }), busy({ costPerHourUsd: 0.2 }), busy({ costPerHourUsd: null })];
    expect(decide(SETTINGS, observe(fleet)).snapshot.costPerHourUsd).toBe(0.3);
  });
});
