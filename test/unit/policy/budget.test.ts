import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import type { Observation, ObservedWorker } from "../../../src/policy/observation.ts";
import type { PolicySettings } from "../../../src/policy/settings.ts";
import {
  busy,
  drainsOf,
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
  times,
  signalled,
} from "../../kit/policy.ts";

const HOURLY: PolicySettings = { ...SETTINGS, maxHourlySpendUsd: 2 };
const DAILY: PolicySettings = { ...SETTINGS, dailyBudgetUsd: 10 };

function spawned(settings: PolicySettings, seen: Partial<Observation>) {
  const { actions, snapshot } = decide(settings, observe([], { queued: 30, ...seen }));
  return { count: spawnOf(actions)?.count ?? 0, ...snapshot };
}

describe("the room that the caps leave (invariant 15)", () => {
  it.for([
    [0, 0.5, 0, 4],
    [1.1, 0.5, 0, 1],
    [1.5, 0.5, 0, 1],
    [1.6, 0.5, 0, 0],
    [2, 0.5, 0, 0],
    [2.5, 0.5, 0, 0],
    [0, 0.5, 3, 4],
    [0, null, 0, 1],
    [1.9, null, 0, 1],
    [2, null, 0, 0],
    [0, null, 1, 0],
  ] as const)("at %d an hour, %s each and %i to be priced is %i", ([hourlyUsd, priceUsd, unpriced, count]) => {
    expect(spawned(HOURLY, spend({ hourlyUsd, priceUsd, unpriced })).count).toBe(count);
  });

  it("invariant 17: is one worker under a daily budget while no price is known, because the day's sum cannot grow", () => {
    expect(spawned(DAILY, spend({ priceUsd: null }))).toMatchObject({ count: 1, desired: 1, rule: "budget" });
    expect(spawned(DAILY, spend({ priceUsd: null, unpriced: 1 })).count).toBe(0);
    expect(spawned(DAILY, spend({ priceUsd: null })).reason).toContain("; DAILY_BUDGET_USD 10, one at a time");
  });

  it("is not lowered by the errors of binary fractions", () => {
    expect(spawned({ ...SETTINGS, maxHourlySpendUsd: 0.3 }, spend({ hourlyUsd: 0.1, priceUsd: 0.1 })).count).toBe(2);
  });

  it("is named in the decision's reason, and bounds the desired size", () => {
    expect(spawned(HOURLY, spend({ hourlyUsd: 1.5 }))).toMatchObject({
      desired: 1,
      rule: "budget",
      reason:
        "30 queued / threshold 3 → 10 wanted, no worker yet → spawn 1; MAX_HOURLY_SPEND_USD 2, $1.50 now, $0.50 each: 10 → 1",
    });
    expect(spawned(HOURLY, spend({ priceUsd: null })).reason).toContain("one at a time until a price is known: 10 → 1");
  });

  it("is zero when the day's budget is spent, also for a hold and for MIN", () => {
    expect(spawned(DAILY, spend({ todayUsd: 9.99 })).count).toBe(10);
    for (const seen of [{}, intent({ hold: 3 })]) {
      expect(spawned({ ...DAILY, minActiveGpus: 2 }, { ...spend({ todayUsd: 10 }), ...seen })).toMatchObject({
        count: 0,
        desired: 0,
        rule: "budget",
      });
    }
    expect(spawned(DAILY, spend({ todayUsd: 10 })).reason).toContain("; DAILY_BUDGET_USD 10 reached: 10 → 0");
  });

  it("is zero while a cap is set and the spend is unknown; no worker is drained for that (invariant 3)", () => {
    for (const settings of [HOURLY, DAILY]) {
      expect(spawned(settings, { spend: null })).toMatchObject({ count: 0, rule: "budget" });
      expect(decide(settings, observe([busy()], { spend: null })).actions).toEqual([]);
    }
    expect(spawned(SETTINGS, { spend: null }).count).toBe(10);
  });

  it("is sent with the spawn action, because the reservation checks the caps again", () => {
    const { actions } = decide({ ...HOURLY, dailyBudgetUsd: 10 }, observe([], { queued: 3 }));
    expect(spawnOf(actions)?.caps).toMatchObject({ maxHourlySpendUsd: 2, dailyBudgetUsd: 10 });
  });

  it("is applied in the order MAX, budget, breaker, launch rate; the last bound that lowers the count is the rule", () => {
    const settings = { ...HOURLY, maxLaunchesPerMinute: 3 };
    const { snapshot } = decide(settings, observe([], { queued: 60, launchedLastMinute: 2 }));
    expect(snapshot.reason).toMatch(/capped by MAX 10: 20 → 10; MAX_HOURLY_.*: 10 → 4; MAX_LAUNCHES_.*: 4 → 1$/);
    expect(snapshot.rule).toBe("launch_rate");
  });
});

describe("when a cap is exceeded", () => {
  const over = (hourlyUsd: number) => spend({ hourlyUsd });
  const leaving = (settings: PolicySettings, fleet: ObservedWorker[], seen: Partial<Observation>) => {
    const { actions } = decide(settings, observe(fleet, seen));
    return { drained: drainsOf(actions), terminated: signalled(actions, "terminate"), spawned: spawnOf(actions) };
  };

  it("idle workers leave at once, below MIN and without a grace period, then booting ones, then busy ones after their task", () => {
    const [works, rests, boots] = [busy(), idle({ readyMs: NOW }), spawning()];
    const settings = { ...HOURLY, minActiveGpus: 3 };
    const drained = (hourlyUsd: number) =>
      leaving(settings, [works, boots, rests], { queued: 9, ...over(hourlyUsd) }).drained;
    // Three workers at $0.50. Half of $4.00 is too much, and three quarters of $8.00.
    expect(drained(2)).toEqual([]);
    expect(drained(2.2).map(({ worker }) => worker)).toEqual([rests.id]);
    expect(drained(4).map(({ worker }) => worker)).toEqual([rests.id, boots.id]);
    expect(drained(8).map(({ worker }) => worker)).toEqual([rests.id, boots.id, works.id]);
    const reason = "MAX_HOURLY_SPEND_USD 2 exceeded, $8.00 now → 3 leave";
    expect(drained(8).map(({ order }) => order)).toEqual([
      { reason, onlyIdle: true },
      { reason, onlyIdle: true },
      { reason, onlyIdle: false, untilTaskEnds: true },
    ]);
  });

  it("a busy worker is ended only with BUDGET_HARD, the latest task first", () => {
    const fleet = [
      busy({ task: task({ startedMs: NOW - 900 * SEC }) }),
      busy({ task: task({ startedMs: NOW - 9 * SEC }) }),
    ];
    expect(leaving(HOURLY, fleet, over(3))).toMatchObject({ terminated: [], drained: [{ worker: fleet[1]?.id }] });
    expect(leaving({ ...HOURLY, budgetHard: true }, fleet, over(3))).toMatchObject({
      terminated: [fleet[1]?.id],
      drained: [],
    });
  });

  it("a worker that leaves already gets no second order, and counts towards the pool's part", () => {
    const [gone, ordered, sick] = [
      terminating({ task: task() }),
      busy({ signal: "terminate", signalMs: NOW }),
      idle({ status: "error" }),
    ];
    const seen = over(4);
    // Six workers at $0.50 are $3.00 of $4.00. Half of that is too much: three workers.
    expect(leaving(HOURLY, [gone, ordered, sick, ...times(3, busy)], seen).drained).toEqual([]);
    expect(leaving(HOURLY, [gone, ordered, ...times(4, busy)], seen).drained).toHaveLength(1);
  });

  it("a pool gives up only its own part of the excess, and no worker whose price is zero or unknown", () => {
    expect(leaving(HOURLY, times(4, busy), over(8)).drained).toHaveLength(3);
    const unpriced = times(4, () => spawning({ costPerHourUsd: null }));
    expect(leaving(HOURLY, unpriced, over(8)).drained).toHaveLength(3);
    expect(leaving(HOURLY, unpriced, spend({ hourlyUsd: 8, priceUsd: null })).drained).toEqual([]);
    const free = [busy({ costPerHourUsd: 0 }), busy({ origin: "external" })];
    expect(leaving(HOURLY, free, over(8)).drained).toEqual([]);
  });

  it("every worker leaves when the day's budget is spent, whatever its price", () => {
    const fleet = [busy({ costPerHourUsd: null }), idle({ readyMs: NOW }), spawning(), idle({ origin: "external" })];
    const { drained, spawned } = leaving({ ...DAILY, minActiveGpus: 2 }, fleet, {
      queued: 9,
      ...spend({ todayUsd: 10 }),
    });
    expect(drained).toHaveLength(3);
    expect(spawned).toBeUndefined();
    expect(leaving(DAILY, fleet, spend({ todayUsd: 9.99 })).drained).toEqual([]);
  });

  it("the budget is the rule, and the reason also gives what demand wants", () => {
    const { snapshot } = decide(HOURLY, observe(times(2, busy), { queued: 3, ...over(4) }));
    expect(snapshot).toMatchObject({ rule: "budget", desired: 1 });
    expect(snapshot.reason).toMatch(
      /^3 queued for 1 present: .* → stay; MAX_HOURLY_SPEND_USD 2 exceeded, \$4.00 now → 1 leaves$/,
    );
  });

  it.for([
    ["paused", 0, 1],
    ["draining", 1, 1],
    ["closing", 1, 1],
  ] as const)("while %s only BUDGET_HARD does more than the operator said", ([mode, soft, hard]) => {
    const seen = { ...spend({ todayUsd: 11 }), ...intent({ mode }) };
    const gentle = leaving(DAILY, [busy()], seen);
    expect(gentle.terminated).toEqual([]);
    expect(gentle.drained).toHaveLength(soft);
    expect(gentle.drained.every(({ order }) => order.untilTaskEnds === undefined)).toBe(true);
    expect(leaving({ ...DAILY, budgetHard: true }, [busy()], seen).terminated).toHaveLength(hard);
  });

  it.for([
    ["normal", {}],
    ["paused", {}],
    ["draining", { name: "drain", order: { reason: "draining: its task has the usual time to end", onlyIdle: false } }],
    ["closing", { name: "drain", order: { reason: "closing: its task has the usual time to end", onlyIdle: false } }],
  ] as const)(
    "a worker that drains without a deadline gets another order while %s, where that shortens its time",
    ([mode, signal]) => {
      const drained = { task: task(), signal: "drain", signalMs: NOW - 3600 * SEC };
      const one = terminating({ ...drained, drainsWithoutDeadline: true });
      const others = [terminating(drained), terminating({ drainsWithoutDeadline: true })];
      const fleet = [one, ...others];
      const signals = (settings: PolicySettings) =>
        decide(settings, observe(fleet, intent({ mode }))).actions.flatMap((action) =>
          action.kind === "signal" && action.signal.name !== "released" ? [action] : [],
        );
      expect(signals(SETTINGS)).toMatchObject("name" in signal ? [{ worker: one.id, signal }] : []);
      expect(signals({ ...SETTINGS, budgetHard: true })).toMatchObject([
        { worker: one.id, signal: { name: "terminate" } },
      ]);
    },
  );

  it.for([
    ["normal", true],
    ["draining", false],
    ["closing", false],
  ] as const)(
    "the order is repeated after thirty seconds without effect, while %s, BUDGET_HARD %s",
    ([mode, budgetHard]) => {
      const settings = { ...SETTINGS, budgetHard };
      const actionsOf = (signal: string, agoSec: number) => {
        const worker = terminating({ drainsWithoutDeadline: true, task: task(), signal, signalMs: NOW - agoSec * SEC });
        return decide(settings, observe([worker], intent({ mode }))).actions;
      };
      const [first] = actionsOf("ready", 3600);
      if (first?.kind !== "signal") {
        throw new Error("no worker got an order");
      }
      const { name } = first.signal;
      expect(actionsOf(name, 29)).toEqual([]);
      expect(actionsOf(name, 30)).toMatchObject([{ signal: { name } }]);
    },
  );

  it("workers leave under a hold too", () => {
    expect(leaving(DAILY, [busy()], { ...spend({ todayUsd: 11 }), ...intent({ hold: 1 }) }).drained).toMatchObject([
      { order: { untilTaskEnds: true } },
    ]);
  });
});
