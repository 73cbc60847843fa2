import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import type { ObservedWorker } from "../../../src/policy/observation.ts";
import { wantedByThreshold } from "../../../src/policy/threshold.ts";
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
  terminating,
  times,
  signalled,
} from "../../kit/policy.ts";

describe("the threshold policy", () => {
  it.for([
    [0, 0, 0],
    [0, 5, 0],
    [1, 0, 1],
    [3, 0, 1],
    [4, 0, 2],
    [7, 0, 3],
    [3, 1, 1],
    [4, 1, 2],
    [6, 2, 2],
    [7, 2, 3],
    [1, 4, 4],
    [10_000, 3, 3334],
  ])("with %i queued and %i present wants %i", ([queued = 0, present = 0, size]) => {
    expect(wantedByThreshold(queued, present, 3).size).toBe(size);
  });

  it("gives its calculation in the reason", () => {
    expect(wantedByThreshold(0, 4, 3).reason).toBe("nothing queued");
    expect(wantedByThreshold(7, 0, 3).reason).toBe("7 queued / threshold 3 → 3 wanted, no worker yet");
    expect(wantedByThreshold(7, 2, 3).reason).toBe("7 queued / threshold 3 → 3 wanted, 2 present");
    expect(wantedByThreshold(6, 2, 3).reason).toBe("6 queued for 2 present: within threshold 3");
  });
});

describe("growing", () => {
  interface Case {
    readonly title: string;
    readonly fleet?: ObservedWorker[];
    readonly queued?: number;
    readonly settings?: Partial<typeof SETTINGS>;
    readonly spawn: number;
  }
  const cases: Case[] = [
    { title: "stays at zero with nothing queued", spawn: 0 },
    { title: "spawns as many as the queue needs", queued: 7, spawn: 3 },
    { title: "counts spawning workers as capacity", queued: 7, fleet: times(2, spawning), spawn: 1 },
    { title: "does not add to a fleet that is within the threshold", queued: 6, fleet: times(2, busy), spawn: 0 },
    { title: "never goes above MAX", queued: 500, fleet: times(4, busy), spawn: 6 },
    { title: "keeps MIN with nothing queued", settings: { minActiveGpus: 2 }, spawn: 2 },
    {
      title: "counts spawning workers towards MIN while growing",
      settings: { minActiveGpus: 2 },
      fleet: [spawning()],
      spawn: 1,
    },
    {
      title: "keeps idle machines beside the busy ones",
      settings: { machinesToKeepIdle: 2 },
      fleet: times(3, busy),
      spawn: 2,
    },
    { title: "does not count workers that leave", queued: 6, fleet: [busy(), terminating(), terminating()], spawn: 1 },
    { title: "does not count workers in error", queued: 6, fleet: [busy(), idle({ status: "error" })], spawn: 1 },
    {
      title: "replaces a worker that this decision fails",
      queued: 6,
      fleet: [busy(), busy({ pod: { kind: "absent" } })],
      spawn: 1,
    },
    {
      title: "counts external workers",
      queued: 6,
      fleet: times(2, () => idle({ origin: "external" })),
      spawn: 0,
    },
    {
      title: "does not count external workers that are silent, only registered or drained",
      queued: 6,
      fleet: [
        idle({ origin: "external", heartbeatMs: NOW - (SETTINGS.gpuIdleTimeoutSec + 1) * SEC }),
        spawning({ origin: "external" }),
        terminating({ origin: "external" }),
      ],
      spawn: 2,
    },
  ];
  it.for(cases)("$title", ({ fleet = [], queued = 0, settings = {}, spawn }) => {
    const { actions } = decide({ ...SETTINGS, ...settings }, observe(fleet, { queued }));
    expect(spawnOf(actions)?.count ?? 0).toBe(spawn);
    expect(signalled(actions, "drain")).toEqual([]);
  });

  it("sends no signal to external workers, and does not wait for them on the way to zero", () => {
    const fleet = [idle({ origin: "external", signal: null }), terminating({ origin: "external", signal: null })];
    expect(decide(SETTINGS, observe(fleet)).actions).toEqual([]);
    const closing = decide(SETTINGS, observe(fleet, intent({ mode: "closing" })));
    expect(closing.actions).toEqual([]);
    expect(closing.snapshot).toMatchObject({ spawning: 0, idle: 0, busy: 0, terminating: 0, failing: 0 });
  });

  it("asks for no more than a reservation books: a worker that was ordered to leave counts towards MAX until its row shows it", () => {
    const settings = { ...SETTINGS, maxActiveGpus: 3 };
    const leaving = idle({ signal: "drain", signalMs: NOW - SEC });
    const { actions, snapshot } = decide(settings, observe([busy(), leaving], { queued: 30 }));
    expect(spawnOf(actions)).toMatchObject({ count: 1 });
    expect(snapshot).toMatchObject({ desired: 3, rule: "max" });
    expect(snapshot.reason).toContain("; MAX 3, 2 still there, 1 of them leaving: 2 → 1");
    expect(decide(settings, observe([busy(), busy(), leaving], { queued: 30 })).actions).toEqual([]);
  });

  it("sends MAX and the version of the intent along with the spawn action", () => {
    const { actions, snapshot } = decide(SETTINGS, observe([], { queued: 7, ...intent({ version: 42 }) }));
    const caps = { maxHourlySpendUsd: null, dailyBudgetUsd: null, noFundsProbeMinutes: 5 };
    const { reason } = snapshot;
    expect(spawnOf(actions)).toEqual({ kind: "spawn", count: 3, max: 10, intentVersion: 42, caps, reason });
    expect(snapshot.reason).toBe("7 queued / threshold 3 → 3 wanted, no worker yet → spawn 3");
  });

  it("names MAX, MIN, the idle buffer or spawning workers in the reason when they decided", () => {
    const reason = (settings: Partial<typeof SETTINGS>, fleet: ObservedWorker[], queued: number) =>
      decide({ ...SETTINGS, ...settings }, observe(fleet, { queued })).snapshot.reason;
    expect(reason({}, [], 300)).toContain("capped by MAX 10: 100 → 10");
    expect(reason({ minActiveGpus: 2 }, [], 0)).toBe("nothing queued, MIN_ACTIVE_GPUS 2 → spawn 2");
    expect(reason({ machinesToKeepIdle: 1 }, [busy()], 0)).toBe(
      "nothing queued, 1 busy + 1 to keep idle → 2 → spawn 1",
    );
    expect(reason({}, [spawning()], 3)).toContain("1 spawning counts → stay");
  });
});

describe("shrinking", () => {
  it("drains only idle workers, and drops the drain of one that has a task by then", () => {
    const [resting, working] = [idle(), busy()];
    const { actions } = decide(SETTINGS, observe([resting, working]));
    expect(actions).toEqual([
      {
        kind: "signal",
        worker: resting.id,
        signal: {
          name: "drain",
          order: { reason: "nothing queued, 1 busy + 0 to keep idle → 1 → drain 1 idle", onlyIdle: true },
        },
      },
    ]);
  });

  it.for([
    ["none down to MIN", { minActiveGpus: 3 }, 3, 0],
    ["those above MIN", { minActiveGpus: 1 }, 3, 2],
    ["those above the idle buffer", { machinesToKeepIdle: 2 }, 3, 1],
  ] as const)("takes %s", ([, settings, present, drained]) => {
    const { actions } = decide({ ...SETTINGS, ...settings }, observe(times(present, idle)));
    expect(signalled(actions, "drain")).toHaveLength(drained);
  });

  it("counts only ready workers towards MIN: a booting worker may never become ready", () => {
    const { actions } = decide({ ...SETTINGS, minActiveGpus: 1 }, observe([idle(), spawning(), spawning()]));
    expect(signalled(actions, "drain")).toEqual([]);
  });

  it("drains no worker while tasks are queued within the threshold", () => {
    expect(decide(SETTINGS, observe(times(4, idle), { queued: 1 })).actions).toEqual([]);
  });

  it("waits for the grace period since ready, and for the idle time since ready or since the last task", () => {
    const ago = (sec: number) => NOW - sec * SEC;
    const fresh = idle({ readyMs: ago(119) });
    const released = idle({ releasedMs: ago(59) });
    const [settled, rested] = [idle({ readyMs: ago(120) }), idle({ releasedMs: ago(60) })];
    const { actions } = decide(SETTINGS, observe([fresh, released, settled, rested]));
    expect(signalled(actions, "drain").sort()).toEqual([settled.id, rested.id].sort());
  });

  it("drains the longest idle worker first", () => {
    const [short, long] = [idle({ releasedMs: NOW - 100 * SEC }), idle({ releasedMs: NOW - 900 * SEC })];
    const { actions } = decide({ ...SETTINGS, minActiveGpus: 1 }, observe([short, long]));
    expect(signalled(actions, "drain")).toEqual([long.id]);
  });

  it("never drains a worker that the pool did not spawn", () => {
    expect(signalled(decide(SETTINGS, observe([idle({ origin: "external" })])).actions, "drain")).toEqual([]);
  });
});

describe("an operator's intent", () => {
  it.for([
    ["grows to the hold with nothing queued", 3, 1, 2, 0],
    ["shrinks to the hold at once, whatever is queued", 1, 3, 0, 2],
    ["stays at the hold", 2, 2, 0, 0],
    ["bounds the hold by MAX", 25, 0, 10, 0],
  ] as const)("%s", ([, hold, present, spawn, drained]) => {
    const fleet = times(present, () => idle({ readyMs: NOW - SEC }));
    const { actions } = decide(SETTINGS, observe(fleet, { queued: 9 * Number(spawn === 0), ...intent({ hold }) }));
    expect(spawnOf(actions)?.count ?? 0).toBe(spawn);
    expect(signalled(actions, "drain")).toHaveLength(drained);
  });

  it("names MAX in the reason when it limits the hold", () => {
    expect(decide(SETTINGS, observe([], intent({ hold: 25 }))).snapshot).toMatchObject({
      desired: 10,
      reason: "held at 25 by an operator → spawn 10; capped by MAX 10: 25 → 10",
    });
  });

  it("drains booting workers first, then idle ones, then busy ones after their task", () => {
    const [boots, rests, works] = [spawning(), idle(), busy()];
    const drained = (hold: number) =>
      signalled(decide(SETTINGS, observe([works, rests, boots], intent({ hold }))).actions, "drain");
    expect(drained(2)).toEqual([boots.id]);
    expect(drained(1)).toEqual([boots.id, rests.id]);
    expect(drained(0)).toEqual([boots.id, rests.id, works.id]);
  });

  it("lets idle workers go that rested longest, however old they are", () => {
    const rested = (sec: number, createdSec: number) =>
      idle({ createdMs: NOW - createdSec * SEC, readyMs: NOW - createdSec * SEC, releasedMs: NOW - sec * SEC });
    const [long, short, middle] = [rested(300, 1_000), rested(5, 900), rested(60, 2_000)];
    const { actions } = decide(SETTINGS, observe([short, long, middle], intent({ hold: 1 })));
    expect(signalled(actions, "drain")).toEqual([long.id, middle.id]);
  });

  it.for(["draining", "closing"] as const)("%s drains every worker, busy ones too, and spawns none", (mode) => {
    const fleet = [busy(), idle({ readyMs: NOW }), spawning(), idle({ origin: "external" })];
    const { actions, snapshot } = decide(
      { ...SETTINGS, minActiveGpus: 2 },
      observe(fleet, { queued: 50, ...intent({ mode }) }),
    );
    expect(signalled(actions, "drain")).toHaveLength(3);
    expect(spawnOf(actions)).toBeUndefined();
    expect(snapshot).toMatchObject({ desired: 0, reason: `${mode}: to zero gracefully` });
    expect(JSON.stringify(actions)).toContain('"onlyIdle":false');
  });

  it("paused neither spawns nor drains, with a hold or without", () => {
    const paused = (hold: number | null) => intent({ mode: "paused", hold });
    expect(decide(SETTINGS, observe([], { queued: 50, ...paused(null) })).actions).toEqual([]);
    expect(decide(SETTINGS, observe(times(5, idle), paused(1))).actions).toEqual([]);
    expect(decide(SETTINGS, observe(times(5, idle), paused(9))).snapshot).toMatchObject({ desired: 5 });
  });
});
