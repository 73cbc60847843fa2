import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import type { Observation, ObservedWorker } from "../../../src/policy/observation.ts";
import type { PolicySettings } from "../../../src/policy/settings.ts";
import { busy, drainsOf, idle, intent, NOW, observe, SEC, SETTINGS, spawning, spawnOf } from "../../kit/policy.ts";

function decided(fleet: readonly ObservedWorker[], seen: Partial<Observation>, settings: Partial<PolicySettings> = {}) {
  return decide({ ...SETTINGS, ...settings }, observe(fleet, seen));
}

describe("an idle worker that can do nothing of what is queued", () => {
  it("is no capacity, so that a worker is spawned that can", () => {
    const other = idle({ origin: "external", podId: null });
    const seen = { queued: 2, unfit: [other.id] };
    expect(spawnOf(decided([other], { queued: 2 }).actions)).toBeUndefined();
    const { actions, snapshot } = decided([other], seen);
    expect(spawnOf(actions)).toMatchObject({ count: 1 });
    expect(snapshot.reason).toContain("1 idle can do nothing of what is queued and counts not");
    for (const policy of ["workload", "latency"] as const) {
      expect(spawnOf(decided([other], seen, { policy }).actions)?.count).toBeGreaterThan(0);
    }
  });

  it("is drained when its times are over, and takes a place of MAX until then", () => {
    const old = [idle(), idle()];
    const seen = { queued: 30, unfit: old.map(({ id }) => id) };
    const { actions } = decided(old, seen, { maxActiveGpus: 3 });
    expect(spawnOf(actions)).toMatchObject({ count: 1 });
    expect(drainsOf(actions).map(({ worker, order }) => [worker, order.onlyIdle])).toEqual(
      old.map(({ id }) => [id, true]),
    );
    const fresh = idle({ readyMs: NOW - 10 * SEC });
    expect(drainsOf(decided([fresh], { queued: 30, unfit: [fresh.id] }).actions)).toEqual([]);
  });

  it("leaves workers that boot or work as they are", () => {
    const fleet = [idle(), spawning(), busy()];
    const { actions } = decided(fleet, { queued: 3, unfit: [fleet[0]!.id] });
    expect(spawnOf(actions)).toBeUndefined();
    expect(drainsOf(actions).map(({ worker }) => worker)).toEqual([fleet[0]!.id]);
  });

  it("counts where an operator holds the size", () => {
    const other = idle();
    expect(decided([other], { queued: 3, unfit: [other.id], ...intent({ hold: 1 }) }).actions).toEqual([]);
  });
});

describe("tasks that nobody can do", () => {
  const undone = [
    { taskType: "comfy", tasks: 3 },
    { taskType: "dp_final_gen", tasks: 1 },
  ];

  it("are a condition of the pool by their types, and stand in the snapshot", () => {
    const { conditions, snapshot } = decided([], { undone });
    expect(conditions).toEqual([
      {
        kind: "no_able_worker",
        message:
          "tasks of types comfy, dp_final_gen wait, and neither a living worker nor a new one of this pool can do them",
      },
    ]);
    expect(snapshot.undone).toEqual(["comfy", "dp_final_gen"]);
    expect(decided([], { undone: [] }).conditions).toEqual([]);
    expect(decided([], { undone: null }).snapshot).not.toHaveProperty("undone");
  });
});
