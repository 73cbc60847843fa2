import { describe, expect, it } from "vitest";
import { decide } from "../../../../src/policy/decide.ts";
import { sortFleet } from "../../../../src/policy/fleet.ts";
import { wantedByLatency } from "../../../../src/policy/latency/latency.ts";
import type { Measured } from "../../../../src/policy/latency/measured.ts";
import type { Observation, ObservedWorker } from "../../../../src/policy/observation.ts";
import type { PolicySettings } from "../../../../src/policy/settings.ts";
import {
  busy,
  drainsOf,
  idle,
  NOW,
  observe,
  SEC,
  SETTINGS,
  spawning,
  spawnOf,
  task,
  times,
} from "../../../kit/policy.ts";

const KIND = { taskType: "generate_video", model: null } as const;
/** Boots take 120 s, so the policy looks 90 s ahead; tasks take from 0 to 200 s, each time as likely. */
const MEASURED: Measured = {
  bootSec: 120,
  services: [{ ...KIND, samples: 399, quantilesSec: Array.from({ length: 21 }, (_, n) => n * 10) }],
  priorsSec: {},
  demand: [],
  coming: [],
  waitValue: null,
  waited: null,
};

function demand(queued: number, anHour: number) {
  return { demand: [{ ...KIND, queued, arrivalsPerSec: anHour / 3600 }] };
}

function running(elapsedSec: number): ObservedWorker {
  return busy({ task: task({ ...KIND, startedMs: NOW - elapsedSec * SEC }) });
}

interface Seen extends Partial<Omit<Observation, "measured">> {
  readonly measured?: Partial<Measured>;
}

function wanted(
  fleet: readonly ObservedWorker[],
  { measured, ...seen }: Seen = {},
  settings: Partial<PolicySettings> = {},
) {
  const observation = observe(fleet, { ...seen, measured: { ...MEASURED, ...measured } });
  return wantedByLatency(
    { ...SETTINGS, policy: "latency", ...settings },
    observation,
    sortFleet(observation, new Set()),
  );
}

function decided(
  fleet: readonly ObservedWorker[],
  { measured, ...seen }: Seen = {},
  settings: Partial<PolicySettings> = {},
) {
  const observation = observe(fleet, { ...seen, measured: { ...MEASURED, ...measured } });
  return decide({ ...SETTINGS, policy: "latency", ...settings }, observation);
}

describe("the policy latency", () => {
  it("wants nothing where nothing is queued, runs or is expected", () => {
    expect(wanted([])).toMatchObject({ size: 0, keep: 0, reason: "nothing queued, running or expected" });
  });

  // A task that has run for 110 s still runs in 90 s with (399 × 0 + 1) / (399 × 0.45 + 1) ≈ 0.006; one that has just begun
  // with (399 × 0.55 + 1) / 400 ≈ 0.551. Of tasks that arrive, 90 × 0.775 = 69.75 s lie within those 90 s.
  it.each<[string, ObservedWorker[], Seen, number, number, number, number]>([
    ["two tasks that have just begun", [running(0), running(0)], {}, 1.1, 0.7, 1, 2],
    ["two tasks that must end soon", [running(110), running(110)], {}, 0, 0.1, 1, 1],
    ["a queue of five", [], { queued: 5, measured: demand(5, 0) }, 5, 0.7, 5, 6],
    ["60 tasks an hour", [], { measured: demand(0, 60) }, 1.2, 1.5, 1, 2],
    [
      "two that run, two queued and 60 an hour",
      [running(0), running(0)],
      { queued: 2, measured: demand(2, 60) },
      4.3,
      1.7,
      4,
      6,
    ],
  ])("counts %s", (_, fleet, seen, mean, spread, size, keep) => {
    const answer = wanted(fleet, seen);
    expect(answer.reason).toContain(`${mean.toFixed(1)} ± ${spread.toFixed(1)} at work in 90 s → ${size} wanted`);
    expect(answer).toMatchObject({ size, keep });
  });

  it("wants and keeps more the more waiting is worth", () => {
    const seen = { queued: 4, measured: demand(4, 100) };
    const sizes = [0.1, 0.3, 1, 3, 10, 100].map((waitValue) => {
      const { size, keep } = wanted([], seen, { waitValue });
      return [size, keep];
    });
    expect(sizes).toEqual([
      [1, 1],
      [1, 2],
      [5, 6],
      [6, 8],
      [8, 9],
      [10, 11],
    ]);
  });

  it("lets tasks that are short beside a boot share workers", () => {
    const short = { ...MEASURED.services[0]!, quantilesSec: Array.from({ length: 21 }, () => 5) };
    const measured = { services: [short], ...demand(400, 0) };
    // √(2 × 5 / 120) ≈ 0.29 of a worker each.
    expect(wanted([], { queued: 400, measured }).size).toBe(115);
    expect(wanted([], { queued: 400, measured }, { waitValue: 24 }).size).toBeGreaterThan(400);
  });

  it("sums over types, each with its own times; an unmeasured type has its prior, else 180 s", () => {
    const kinds = ["generate_video", "stitch", "new_type"].map((taskType) => ({ taskType, model: null }));
    const measured = {
      priorsSec: { stitch: 5 },
      demand: kinds.map((kind) => ({ ...kind, queued: 10, arrivalsPerSec: 0 })),
    };
    const { reason } = wanted([], { queued: 30, measured });
    // 10 + 10 × √(2 × 5 / 120) + 10, and (100 + 5 + 180) / 3 s on the mean.
    expect(reason).toBe(
      "22.9 ± 1.7 at work in 90 s → 23 wanted, up to 24 kept, at WAIT_VALUE 2 " +
        "(boots 120 s, tasks 95 s until measured, 0 an hour)",
    );
  });

  it("takes a model by its own times where they are measured, else by those of its type", () => {
    const model = (name: string, samples: number, sec: number) => ({
      taskType: KIND.taskType,
      model: name,
      samples,
      quantilesSec: Array.from({ length: 21 }, () => sec),
    });
    const services = [...MEASURED.services, model("quick", 20, 10), model("rare", 19, 4000)];
    const tasks = (name: string) =>
      wanted([], {
        queued: 3,
        measured: { services, demand: [{ ...model(name, 0, 0), queued: 3, arrivalsPerSec: 0 }] },
      });
    expect(tasks("quick").reason).toContain("tasks 10 s");
    expect(tasks("rare").reason).toContain("tasks 100 s");
  });

  it("stands for the whole queue where only a part of it was looked at", () => {
    expect(wanted([], { queued: 5000, measured: demand(500, 0) }).size).toBe(5000);
  });

  it("expects the sub-tasks that wait for a running task when it ends", () => {
    const children = { coming: [{ ...KIND, after: "parent", tasks: 8 }] };
    const parent = (elapsedSec: number) => [
      busy({ task: task({ ...KIND, id: "parent", startedMs: NOW - elapsedSec * SEC }) }),
    ];
    // 8 × 0.994 × 69.75 / 90 ≈ 6.2 when the parent must end soon, and less than half of that when it has just begun.
    expect(wanted(parent(110), { measured: children }).size).toBe(6);
    expect(wanted(parent(0), { measured: children }).size).toBe(3);
    expect(wanted(parent(110)).size).toBe(1);
  });

  it("counts with 120 s and 180 s until boots and tasks are measured, and says so", () => {
    const observation = observe([], { queued: 1 });
    const { size, reason } = wantedByLatency(
      { ...SETTINGS, policy: "latency" },
      observation,
      sortFleet(observation, new Set()),
    );
    expect(size).toBe(1);
    expect(reason).toBe(
      "1.0 ± 0.3 at work in 90 s → 1 wanted, at WAIT_VALUE 2 (boots 120 s until measured, tasks 180 s until measured, 0 an hour)",
    );
  });
});

describe("what waiting is worth", () => {
  const words = (settings: Partial<PolicySettings>, seen: Seen = {}) =>
    / at (WAIT_VALUE .*?) \(boots/.exec(wanted([], { queued: 1, ...seen }, settings).reason)?.[1];

  it("is 2 where nothing says it", () => {
    expect(words({})).toBe("WAIT_VALUE 2");
    expect(words({ waitValue: 0.5 })).toBe("WAIT_VALUE 0.5");
  });

  it("is its cost over the price of a GPU, and 2 until a price is known", () => {
    const price = (priceUsd: number | null) => ({ spend: { hourlyUsd: 0, todayUsd: 0, priceUsd, unpriced: 0 } });
    expect(words({ waitCostUsdPerHour: 3 }, price(0.5))).toBe(
      "WAIT_VALUE 6 (WAIT_COST_USD_PER_HOUR 3 at $0.50 an hour)",
    );
    expect(words({ waitCostUsdPerHour: 3 }, price(null))).toBe("WAIT_VALUE 2 until a price is known");
    expect(words({ waitCostUsdPerHour: 3 }, price(0))).toBe("WAIT_VALUE 2 until a price is known");
  });

  it("is learnt for a target, beginning with what such a target usually needs", () => {
    const learnt = (waitValue: number | null) => ({ measured: { waitValue } });
    expect(words({ targetWaitSec: 120 }, learnt(null))).toBe("WAIT_VALUE 1, learnt for TARGET_WAIT_SEC 120");
    expect(words({ targetWaitSec: 60 }, learnt(null))).toBe("WAIT_VALUE 5.66, learnt for TARGET_WAIT_SEC 60");
    expect(words({ targetWaitSec: 60 }, learnt(3.14159))).toBe("WAIT_VALUE 3.14, learnt for TARGET_WAIT_SEC 60");
    expect(words({ targetWaitSec: 60, maxWaitValue: 4 }, learnt(9))).toBe(
      "WAIT_VALUE 4, learnt for TARGET_WAIT_SEC 60",
    );
  });
});

describe("a pool that scales by latency", () => {
  it("spawns what is wanted, and says why in one sentence", () => {
    const { actions, snapshot } = decided([running(0)], { queued: 2, measured: demand(2, 60) });
    const reason =
      "3.7 ± 1.7 at work in 90 s → 4 wanted, up to 5 kept, at WAIT_VALUE 2 (boots 120 s, tasks 100 s, 60 an hour) → spawn 3";
    expect(spawnOf(actions)).toMatchObject({ count: 3, reason });
    expect(snapshot).toMatchObject({ rule: "latency", desired: 4, reason });
  });

  it("counts spawning workers, and stays between what is wanted and what is kept", () => {
    const seen = { queued: 2, measured: demand(2, 60) };
    expect(decided([running(0), ...times(3, spawning)], seen).actions).toEqual([]);
    expect(decided([running(0), ...times(3, idle), spawning()], seen).actions).toEqual([]);
  });

  it("drains who is idle beyond what is kept and has rested, the longest rested first", () => {
    // A quarter of a boot and a bit: 60 × 120 / 220 ≈ 32.7 s.
    const rested = [31, 33, 400, 90].map((sec) => idle({ id: `rested ${sec}`, releasedMs: NOW - sec * SEC }));
    const drained = (fleet: readonly ObservedWorker[], seen: Seen = {}) =>
      drainsOf(decided(fleet, seen).actions).map(({ worker }) => worker);
    expect(drained(rested)).toEqual(["rested 400", "rested 90", "rested 33"]);
    expect(drained(rested, { measured: demand(0, 60) })).toEqual(["rested 400", "rested 90"]);
  });

  it("lets a worker rest for longer the longer boots are, whatever SCALE_DOWN_IDLE_SEC is", () => {
    const fleet = [idle({ releasedMs: NOW - 100 * SEC })];
    const drains = (bootSec: number) =>
      drainsOf(decided(fleet, { measured: { bootSec } }, { scaleDownIdleSec: 0 }).actions);
    expect(drains(120)).toHaveLength(1);
    expect(drains(600)).toHaveLength(0);
  });

  it.each<[string, Partial<PolicySettings>, Seen, Record<string, unknown>]>([
    ["MIN", { minActiveGpus: 7 }, {}, { desired: 7, rule: "min" }],
    ["MAX", { maxActiveGpus: 2 }, {}, { desired: 2, rule: "max" }],
    ["the idle buffer", { machinesToKeepIdle: 6 }, {}, { desired: 6, rule: "idle_buffer" }],
    [
      "a hold",
      {},
      { intent: { mode: "normal", hold: 1, holdUntilMs: null, version: 2 } },
      { desired: 1, rule: "hold" },
    ],
    [
      "a pause",
      {},
      { intent: { mode: "paused", hold: null, holdUntilMs: null, version: 2 } },
      { desired: 0, rule: "paused" },
    ],
    [
      "the breaker",
      {},
      { breaker: { state: "open", sinceMs: NOW, failed: 9, ready: 0 } },
      { desired: 0, rule: "breaker" },
    ],
    ["a budget", { maxHourlySpendUsd: 1 }, {}, { desired: 2, rule: "budget" }],
    ["the launch rate", { maxLaunchesPerMinute: 3 }, {}, { desired: 5, rule: "launch_rate" }],
  ])("is bounded by %s as with every policy", (_, settings, seen, expected) => {
    expect(decided([], { queued: 5, measured: demand(5, 0), ...seen }, settings).snapshot).toMatchObject(expected);
  });

  it("gives a worker its grace after it became ready", () => {
    const fresh = idle({ readyMs: NOW - 119 * SEC, releasedMs: null });
    expect(drainsOf(decided([fresh]).actions)).toHaveLength(0);
    expect(drainsOf(decided([fresh], {}, { workerGracePeriodSec: 60 }).actions)).toHaveLength(1);
  });

  it("goes on from whatever another policy left: no worker is ended for the change", () => {
    const fleet = [running(0), running(50), ...times(2, spawning), idle({ releasedMs: NOW - 5 * SEC })];
    for (const policy of ["threshold", "workload", "latency"] as const) {
      const { actions, snapshot } = decided(fleet, { queued: 3, measured: demand(3, 0) }, { policy });
      expect(drainsOf(actions)).toEqual([]);
      expect(snapshot.desired).toBe(5);
    }
  });
});
