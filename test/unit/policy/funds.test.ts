import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import { breaker, busy, NOW, observe, SEC, SETTINGS, spawnOf, times } from "../../kit/policy.ts";

const settings = { ...SETTINGS, maxActiveGpus: 9, noFundsProbeMinutes: 5 };

function refused(agoSec: number) {
  return { noFunds: { sinceMs: NOW - 3600 * SEC, triedMs: NOW - agoSec * SEC } };
}

describe("an account without funds", () => {
  it("gets no worker until NO_FUNDS_PROBE_MINUTES have passed, then one; the reason says since when", () => {
    const before = decide(settings, observe([], { queued: 27, ...refused(299) }));
    expect(spawnOf(before.actions)).toBeUndefined();
    expect(before.snapshot).toMatchObject({ desired: 0, rule: "funds" });
    expect(before.snapshot.reason).toMatch(/no funds in the account since \S+Z, next attempt at \S+Z: 9 → 0/);
    const after = decide(settings, observe([], { queued: 27, ...refused(300) }));
    expect(spawnOf(after.actions)).toMatchObject({ count: 1, caps: { noFundsProbeMinutes: 5 } });
    expect(after.snapshot.reason).toContain("one worker tries again: 9 → 1");
  });

  it("keeps the workers that it has, and bounds the growth only", () => {
    const { actions, snapshot } = decide(settings, observe(times(3, busy), { queued: 6, ...refused(1) }));
    expect(actions).toEqual([]);
    expect(snapshot.desired).toBe(3);
  });

  it("gets no attempt while nothing is wanted, or while the breaker is open", () => {
    expect(decide(settings, observe([], refused(3000))).actions).toEqual([]);
    const open = breaker({ state: "open", sinceMs: NOW - SEC });
    expect(decide(settings, observe([], { queued: 9, ...refused(3000), ...open })).actions).toEqual([]);
  });
});
