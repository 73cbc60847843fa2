import { describe, expect, it } from "vitest";
import { atPrice } from "../../../src/policy/budget.ts";
import { decide } from "../../../src/policy/decide.ts";
import type { Observation } from "../../../src/policy/observation.ts";
import { idle, NOW, observe, SEC, SETTINGS, spawning, spawnOf, times } from "../../kit/policy.ts";

const noPlace = { noPlace: { sinceMs: NOW - 60 * SEC, reason: "every place refuses" } };
function waiting() {
  return spawning({ podId: null });
}

function decided(fleet: Observation["fleet"], seen: Partial<Observation>, settings = SETTINGS) {
  const { actions, snapshot, conditions } = decide(settings, observe(fleet, seen));
  return { spawn: spawnOf(actions)?.count ?? 0, snapshot, conditions };
}

describe("while there is no place for a pod", () => {
  it("one worker waits for it, however many are wanted, and the reason says since when", () => {
    const first = decided([], { queued: 30, ...noPlace });
    expect(first.spawn).toBe(1);
    expect(first.snapshot).toMatchObject({ rule: "placement", desired: 1 });
    expect(first.snapshot.reason).toContain(
      "no place for a pod since 2027-01-15T07:59:00Z, one worker asks again: 10 → 1",
    );
    expect(decided([waiting()], { queued: 30, ...noPlace }).spawn).toBe(0);
    expect(decided(times(4, waiting), { queued: 30, ...noPlace }).spawn).toBe(0);
    // A pod that boots is no reason to wait.
    expect(decided([spawning({ podId: "pod-1" })], { queued: 30, ...noPlace }).spawn).toBe(1);
    expect(decided([], { queued: 30 }).spawn).toBe(10);
  });

  it("an alert is open as long as a worker waits or is held back, and not while nobody wants one", () => {
    const open = (fleet: Observation["fleet"], queued: number) =>
      decided(fleet, { queued, ...noPlace }).conditions.filter(({ kind }) => kind === "no_placement");
    expect(open([waiting()], 30)).toEqual([{ kind: "no_placement", message: "every place refuses" }]);
    expect(open([waiting()], 0)).toHaveLength(1);
    expect(open([], 30)).toHaveLength(1);
    expect(open([idle()], 0)).toEqual([]);
    expect(decided([waiting()], { queued: 30 }).conditions).toEqual([]);
  });
});

describe("the catalog's price", () => {
  const unpriced = { hourlyUsd: 1, todayUsd: 3, priceUsd: null, unpriced: 2 };

  it("counts before the first pod, and also for pods that no other price is known of", () => {
    expect(atPrice(unpriced, 0.5)).toEqual({ hourlyUsd: 2, todayUsd: 3, priceUsd: 0.5, unpriced: 0 });
    expect(atPrice(unpriced, null)).toBe(unpriced);
    const settings = { ...SETTINGS, maxHourlySpendUsd: 2 };
    const spend = atPrice({ hourlyUsd: 0, todayUsd: 0, priceUsd: null, unpriced: 0 }, 0.69);
    expect(decided([], { queued: 30, spend }, settings).spawn).toBe(2);
    expect(decided([], { queued: 30, spend: atPrice(spend, 2.5) }, settings).spawn).toBe(0);
  });
});
