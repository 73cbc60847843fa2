import { describe, expect, it } from "vitest";
import { recordBootStages } from "../../../src/activities/boot-stages.ts";
import type { Pod } from "../../../src/runpod/types.ts";
import type { BootStage } from "../../../src/supabase/worker-store.ts";
import { idle, spawning } from "../../kit/policy.ts";

const STARTED = "2026-11-30T12:00:00.000Z";

function pod(id: string, status: string): Pod {
  const unknown = { name: null, gpuTypeId: null, costPerHour: null, createdAt: null, uptimeSec: null, env: null };
  return { ...unknown, id, status, startedAt: STARTED };
}

describe("boot stages that a list shows", () => {
  it("are recorded once they change, of spawning workers only, with the provider's time of the stage that has one", async () => {
    const recorded: Record<string, BootStage> = {};
    const workers = { recordBootStage: async (id: string, stage: BootStage) => void (recorded[id] = stage) };
    const boots = (id: string, bootStage: string) => ({ ...spawning({ id, podId: `pod-${id}` }), bootStage });
    await recordBootStages(
      workers,
      [
        boots("runs", "created"),
        boots("starts", "created"),
        boots("known", "running"),
        boots("odd", "created"),
        boots("unseen", "created"),
        { ...idle({ id: "active", podId: "pod-active" }), bootStage: "ready" },
        { ...spawning({ id: "no-pod", podId: null }), bootStage: "posting" },
      ],
      [
        pod("pod-runs", "RUNNING"),
        pod("pod-starts", "STARTING"),
        pod("pod-known", "RUNNING"),
        pod("pod-odd", "UNKNOWN"),
        pod("pod-active", "RUNNING"),
        pod("foreign", "RUNNING"),
      ],
      null,
    );
    expect(recorded).toEqual({
      runs: { name: "running", beganAt: STARTED, withinSec: null },
      starts: { name: "starting", beganAt: null, withinSec: null },
    });
  });
});
