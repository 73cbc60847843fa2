import { describe, expect, it } from "vitest";
import { breakerChange } from "../../../src/policy/breaker.ts";
import { decide } from "../../../src/policy/decide.ts";
import { breaker, idle, intent, NOW, observe, SEC, SETTINGS, spawning, spawnOf, signalled } from "../../kit/policy.ts";

const MINUTE = 60 * SEC;
function next(state: Parameters<typeof breaker>[0], settings: Partial<typeof SETTINGS> = {}) {
  return breakerChange({ ...SETTINGS, ...settings }, observe([], breaker(state)));
}

describe("the breaker (invariant 13)", () => {
  it.for([
    [0, 0, null],
    [4, 0, null],
    [5, 0, "open"],
    [4, 1, null],
    [5, 1, "open"],
    [8, 2, null],
    [9, 2, "open"],
  ] as const)("closed, with %i failed and %i ready boots becomes %s", ([failed, ready, state]) => {
    expect(next({ state: "closed", failed, ready })?.state ?? null).toBe(state);
  });

  it("opens only above the rate, also where the rate has no exact binary fraction", () => {
    const settings = { maxWorkerFailureRate: 0.29, minWorkersForRateCheck: 1 };
    expect(next({ failed: 29, ready: 71 }, settings)).toBeNull();
    expect(next({ failed: 30, ready: 70 }, settings)?.state).toBe("open");
    expect(next({ failed: 9, ready: 0 }, { maxWorkerFailureRate: 1 })).toBeNull();
    expect(next({ failed: 0, ready: 0 }, { maxWorkerFailureRate: 0, minWorkersForRateCheck: 0 })).toBeNull();
  });

  it("gives its counts in the reason", () => {
    expect(next({ failed: 5, ready: 1 })?.reason).toBe(
      "5 of the last 6 workers failed before they were ready (MAX_WORKER_FAILURE_RATE 0.8)",
    );
  });

  it("lets one worker probe when it was open for the window", () => {
    const openFor = (ms: number) => next({ state: "open", sinceMs: NOW - ms, failed: 9 });
    expect(openFor(5 * MINUTE - 1)).toBeNull();
    expect(openFor(5 * MINUTE)).toEqual({
      state: "half_open",
      reason: "open for 5 min (FAILURE_WINDOW_MINUTES): one worker probes",
    });
  });

  it.for([
    [0, 0, null],
    [0, 1, "closed"],
    [1, 0, "open"],
    [1, 1, "closed"],
  ] as const)("half-open, with %i failed and %i ready since becomes %s", ([failed, ready, state]) => {
    expect(next({ state: "half_open", sinceMs: NOW, failed, ready })?.state ?? null).toBe(state);
  });
});

describe("a decision under the breaker", () => {
  const since = { sinceMs: NOW - MINUTE };

  it("spawns no worker while the breaker is open, neither for MIN nor for a hold, and gives that as the reason", () => {
    const open = breaker({ state: "open", ...since });
    const demand = decide({ ...SETTINGS, minActiveGpus: 2 }, observe([], { queued: 9, ...open }));
    expect(demand.actions).toEqual([]);
    expect(demand.breaker).toBeNull();
    expect(demand.snapshot).toMatchObject({
      desired: 0,
      breaker: "open",
      rule: "breaker",
      reason: "9 queued / threshold 3 → 3 wanted, no worker yet → stay; breaker open: 3 → 0",
    });
    const held = decide(SETTINGS, observe([], { ...open, ...intent({ hold: 2 }) }));
    expect(held.actions).toEqual([]);
    expect(held.snapshot).toMatchObject({
      rule: "breaker",
      reason: "held at 2 by an operator → stay; breaker open: 2 → 0",
    });
  });

  it("still drains and still judges health while the breaker is open", () => {
    const [spare, sick] = [idle(), idle({ pod: { kind: "absent" } })];
    const { actions, snapshot } = decide(SETTINGS, observe([spare, sick], breaker({ state: "open", ...since })));
    expect(signalled(actions, "drain")).toEqual([spare.id]);
    expect(signalled(actions, "fail")).toEqual([sick.id]);
    expect(snapshot.rule).toBe("threshold");
  });

  it("uses the new state at once: opening stops this spawn, closing allows it, half-open allows one worker", () => {
    const decided = (state: Parameters<typeof breaker>[0]) =>
      decide(SETTINGS, observe([], { queued: 9, ...breaker(state) }));
    const opening = decided({ state: "closed", failed: 5 });
    expect([opening.breaker?.state, opening.snapshot.breaker, spawnOf(opening.actions)]).toEqual([
      "open",
      "open",
      undefined,
    ]);
    const closing = decided({ state: "half_open", ready: 1, ...since });
    expect([closing.breaker?.state, closing.snapshot.breaker, spawnOf(closing.actions)?.count]).toEqual([
      "closed",
      "closed",
      3,
    ]);
    const probing = decided({ state: "open", sinceMs: NOW - 5 * MINUTE });
    expect([probing.breaker?.state, spawnOf(probing.actions)?.count]).toEqual(["half_open", 1]);
    expect(probing.snapshot).toMatchObject({ rule: "breaker", desired: 1 });
    expect(probing.snapshot.reason).toContain("; breaker half-open, one at a time: 3 → 1");
  });

  it("adds no worker while one boots under a half-open breaker, even if that one was ordered to leave", () => {
    for (const boots of [spawning(), spawning({ signal: "drain", signalMs: NOW })]) {
      const { actions } = decide(
        SETTINGS,
        observe([boots], { queued: 9, ...breaker({ state: "half_open", ...since }) }),
      );
      expect(spawnOf(actions)).toBeUndefined();
    }
  });

  it("does not name the half-open breaker when no further worker is wanted", () => {
    const { snapshot } = decide(SETTINGS, observe([], { queued: 3, ...breaker({ state: "half_open", ...since }) }));
    expect(snapshot).toMatchObject({ rule: "threshold", breaker: "half_open" });
  });

  it("changes the breaker's state in every mode", () => {
    for (const mode of ["paused", "draining", "closing"] as const) {
      const seen = observe([], { ...breaker({ state: "closed", failed: 6 }), ...intent({ mode }) });
      expect(decide(SETTINGS, seen)).toMatchObject({
        breaker: { state: "open" },
        snapshot: { breaker: "open", rule: mode },
      });
    }
  });
});
