import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import type { ObservedWorker } from "../../../src/policy/observation.ts";
import type { PolicySettings } from "../../../src/policy/settings.ts";
import { wantedByWorkload } from "../../../src/policy/workload.ts";
import { busy, idle, observe, SETTINGS, spawning, spawnOf, times, signalled } from "../../kit/policy.ts";

const WORKLOAD: PolicySettings = { ...SETTINGS, policy: "workload" };

describe("the workload policy", () => {
  it.for([
    // queued, busy, up, down → grows to, keeps
    [0, 0, 1, 0.9, 0, 0],
    [1, 0, 1, 0.9, 1, 1],
    [4, 3, 1, 0.9, 7, 7],
    [4, 3, 1.5, 0.9, 11, 11],
    [4, 3, 0.5, 0.9, 4, 7],
    [1, 0, 0.1, 0.1, 1, 1],
    [0, 2, 0.1, 2, 1, 4],
    [100, 0, 1.1, 1.1, 110, 110],
    [0, 100, 1, 1.1, 100, 110],
  ] as const)("with %i queued and %i busy at × %d up, × %d down grows to %i and keeps %i", (row) => {
    const [queued, running, scaleUpMultiplier, scaleDownMultiplier, size, keep] = row;
    const wanted = wantedByWorkload(queued, running, { scaleUpMultiplier, scaleDownMultiplier });
    expect(wanted).toMatchObject({ size, keep });
  });

  it("gives its calculation in the reason", () => {
    const reason = (queued: number, running: number, up: number, down: number) =>
      wantedByWorkload(queued, running, { scaleUpMultiplier: up, scaleDownMultiplier: down }).reason;
    expect(reason(0, 0, 1, 1)).toBe("nothing queued or running");
    expect(reason(4, 3, 1.5, 0.9)).toBe("(4 queued + 3 running) × SCALE_UP_MULTIPLIER 1.5 → 11 wanted");
    expect(reason(4, 4, 0.5, 0.9)).toBe(
      "(4 queued + 4 running) × SCALE_UP_MULTIPLIER 0.5 → 4 wanted, up to 8 kept at SCALE_DOWN_MULTIPLIER 0.9",
    );
  });

  it("is chosen by the settings, and named as the rule that won", () => {
    const seen = observe([busy(), spawning()], { queued: 4 });
    expect(decide(SETTINGS, seen).snapshot).toMatchObject({ rule: "threshold", desired: 2 });
    expect(decide(WORKLOAD, seen).snapshot).toMatchObject({
      rule: "workload",
      desired: 5,
      reason: "(4 queued + 1 running) × SCALE_UP_MULTIPLIER 1 → 5 wanted, 1 spawning counts → spawn 3",
    });
  });

  it.for([
    ["grows to one GPU a task", {}, [], 4, 4, 0, 4],
    ["drains workers that no task needs", {}, [busy(), idle(), idle()], 0, 0, 2, 1],
    ["is limited by MAX", { maxActiveGpus: 3 }, [], 9, 3, 0, 3],
    ["keeps MIN", { minActiveGpus: 2 }, [], 0, 2, 0, 2],
    ["keeps the idle buffer", { machinesToKeepIdle: 2 }, [busy()], 0, 2, 0, 3],
    [
      "stays as it is between the size it grows to and the size it keeps",
      { scaleUpMultiplier: 0.5, scaleDownMultiplier: 1.5 },
      [busy(), busy(), idle()],
      0,
      0,
      0,
      3,
    ],
    [
      "shrinks to the size it keeps, not to the size it grows to",
      { scaleUpMultiplier: 0.5, scaleDownMultiplier: 1.5 },
      [busy(), busy(), ...times(4, idle)],
      0,
      0,
      3,
      3,
    ],
  ] as const satisfies readonly (readonly [
    string,
    Partial<PolicySettings>,
    ObservedWorker[],
    number,
    number,
    number,
    number,
  ])[])("%s", ([, settings, fleet, queued, spawn, drained, desired]) => {
    const { actions, snapshot } = decide({ ...WORKLOAD, ...settings }, observe(fleet, { queued }));
    expect(spawnOf(actions)?.count ?? 0).toBe(spawn);
    expect(signalled(actions, "drain")).toHaveLength(drained);
    expect(snapshot.desired).toBe(desired);
  });
});

describe("the rule that won", () => {
  it.for([
    ["threshold", {}, [], 3],
    ["threshold", {}, [], 0],
    ["min", { minActiveGpus: 1 }, [], 0],
    ["min", { minActiveGpus: 2, machinesToKeepIdle: 1 }, [busy()], 0],
    ["idle_buffer", { minActiveGpus: 1, machinesToKeepIdle: 1 }, [busy()], 0],
    ["max", { maxActiveGpus: 2 }, [], 30],
  ] as const)("is %s", ([rule, settings, fleet, queued]) => {
    expect(decide({ ...SETTINGS, ...settings }, observe(fleet, { queued })).snapshot.rule).toBe(rule);
  });
});

describe("the launch rate", () => {
  it("limits how many workers are booked in a minute, and leaves the desired size as it is", () => {
    const { actions, snapshot } = decide(
      { ...SETTINGS, maxLaunchesPerMinute: 6 },
      observe([], { queued: 30, launchedLastMinute: 4 }),
    );
    expect(spawnOf(actions)?.count).toBe(2);
    expect(snapshot).toMatchObject({
      desired: 10,
      rule: "launch_rate",
      reason:
        "30 queued / threshold 3 → 10 wanted, no worker yet → spawn 2; MAX_LAUNCHES_PER_MINUTE 6, 4 in the last one: 10 → 2",
    });
  });

  it("spawns no worker when it is used up, also for an operator's hold", () => {
    const used = { launchedLastMinute: 7 };
    const settings = { ...SETTINGS, maxLaunchesPerMinute: 6 };
    const held = observe([], { ...used, intent: { mode: "normal", hold: 4, holdUntilMs: null, version: 1 } });
    for (const seen of [observe([], { ...used, queued: 30 }), held]) {
      const { actions, snapshot } = decide(settings, seen);
      expect(actions).toEqual([]);
      expect(snapshot.reason).toMatch(/ → stay; .*MAX_LAUNCHES_PER_MINUTE 6, 7 in the last one: \d+ → 0$/);
      expect(snapshot.rule).toBe("launch_rate");
    }
  });

  it("is not named in the reason if it lowers nothing", () => {
    const { snapshot } = decide(
      { ...SETTINGS, maxLaunchesPerMinute: 6 },
      observe([], { queued: 3, launchedLastMinute: 5 }),
    );
    expect(snapshot).toMatchObject({
      rule: "threshold",
      reason: "3 queued / threshold 3 → 1 wanted, no worker yet → spawn 1",
    });
  });
});
