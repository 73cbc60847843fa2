import { describe, expect, it } from "vitest";
import { bootStageOf, recordBootStages } from "../../../src/activities/boot/boot-stages.ts";
import type { Pod } from "../../../src/runpod/types.ts";
import type { BootStage } from "../../../src/supabase/worker-store.ts";
import { idle, spawning } from "../../kit/policy.ts";

const STARTED = new Date(Date.now() - 60_000).toISOString();

function pod(id: string, status: string, uptimeSec: number | null = null): Pod {
  const unknown = { name: null, gpuTypeId: null, costPerHour: null, createdAt: null, env: null };
  return { ...unknown, id, status, startedAt: STARTED, uptimeSec };
}

describe("boot stages that a list shows", () => {
  it("are recorded once they change, of spawning workers only, with the provider's time of the stage that has one", async () => {
    const recorded: Record<string, BootStage> = {};
    const workers = { recordBootStage: async (id: string, stage: BootStage) => void (recorded[id] = stage) };
    const boots = (id: string, bootStage: string) => ({
      ...spawning({ id, podId: `pod-${id}` }),
      bootStage,
      bootStageMs: 0,
    });
    await recordBootStages(
      workers,
      [
        boots("runs", "created"),
        boots("pulls", "created"),
        boots("rented", "created"),
        boots("starts", "pulling"),
        boots("known", "running"),
        boots("odd", "created"),
        boots("ended", "running"),
        boots("unseen", "created"),
        { ...idle({ id: "active", podId: "pod-active" }), bootStage: "ready", bootStageMs: 0 },
        { ...spawning({ id: "no-pod", podId: null }), bootStage: "posting", bootStageMs: 0 },
      ],
      [
        pod("pod-runs", "RUNNING", 60),
        pod("pod-pulls", "PROVISIONING"),
        // RUNNING from the moment of the rent on, while the image is still pulled.
        pod("pod-rented", "RUNNING"),
        pod("pod-starts", "STARTING"),
        pod("pod-known", "RUNNING", 60),
        pod("pod-odd", "UNKNOWN"),
        pod("pod-ended", "EXITED"),
        pod("pod-active", "RUNNING", 60),
        pod("foreign", "RUNNING", 60),
      ],
      null,
    );
    expect(recorded).toEqual({
      runs: { name: "running", beganAt: STARTED, withinSec: null },
      pulls: { name: "pulling", beganAt: null, withinSec: null },
      rented: { name: "pulling", beganAt: null, withinSec: null },
      starts: { name: "starting", beganAt: null, withinSec: null },
    });
  });

  it("begin no earlier than the container's uptime says, whatever start the provider shows", () => {
    const began = Date.parse(bootStageOf(pod("late", "RUNNING", 5), null)?.beganAt ?? "");
    expect(Date.now() - began).toBeGreaterThanOrEqual(5_000);
    expect(Date.now() - began).toBeLessThan(20_000);
  });
});
