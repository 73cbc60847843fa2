import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createPodActivities, type PodDeps } from "../../../src/activities/pods.ts";
import { loadConfig } from "../../../src/config/config.ts";
import type { DeletePodOutcome } from "../../../src/runpod/outcomes.ts";

const config = loadConfig({
  SUPABASE_URL: "http://127.0.0.1:1",
  SUPABASE_ANON_KEY: "anon",
  SUPABASE_SERVICE_ROLE_KEY: "service",
  RUNPOD_API_KEY: "key",
});

/** One attempt to remove a pod. @returns the alerts that it opened, and how it ended. */
async function remove(attempt: number, answer: DeletePodOutcome, deletedSec: number, mark?: string) {
  const opened: string[] = [];
  const env = mark === undefined ? null : { GPU_POOL_DEPLOYMENT: mark };
  const pod = { id: "p1", name: "main-0a1b2c3d", status: "RUNNING", env };
  // A provider that does not show the pod keeps nobody from deleting it.
  const shown = mark === undefined ? { kind: "unknown", detail: "HTTP 500" } : { kind: "found", pod };
  const deps = {
    config,
    deployment: "ours",
    runpod: { getPod: async () => shown, deletePod: async () => answer },
    listPods: async () => ({ kind: "complete", pods: [pod] }),
    workers: {
      wantsPodLog: async () => false,
      recordDeleted: async () => deletedSec,
      async deleteFails(id: string, message: string) {
        opened.push(`${id}: ${message}`);
        throw new Error("the database is away");
      },
    },
    logger: pino({ level: "silent" }),
  } as unknown as PodDeps;
  const context = { heartbeat: () => undefined, info: { attempt } } as unknown as Context;
  const { removePod } = createPodActivities(deps);
  const ended = await asyncLocalStorage.run(context, () =>
    removePod("main-0a1b2c3d", "p1").then(
      ({ absent }) => (absent ? "absent" : "listed"),
      () => "failed",
    ),
  );
  return { opened, ended };
}

describe("a pod that stays although it was deleted", () => {
  const refused = { kind: "unknown", detail: "HTTP 500" } as const;
  const accepted = { kind: "accepted" } as const;

  it("invariant 14: is deleted under our own id, and neither deleted nor waited for under another's", async () => {
    expect(await remove(1, refused, 0, "ours")).toEqual({ opened: [], ended: "failed" });
    expect(await remove(1, refused, 0, "theirs")).toEqual({ opened: [], ended: "absent" });
  });

  it("opens an alert when the deletion failed five times, and is tried again also where the alert cannot be written", async () => {
    expect(await remove(4, refused, 0)).toEqual({ opened: [], ended: "failed" });
    const { opened, ended } = await remove(5, refused, 0);
    expect(opened).toEqual(["main-0a1b2c3d: deleting pod p1 of worker main-0a1b2c3d: HTTP 500"]);
    expect(ended).toBe("failed");
  });

  it("opens an alert when it is listed for two minutes after its deletion was accepted", async () => {
    expect(await remove(1, accepted, 119)).toEqual({ opened: [], ended: "listed" });
    expect(await remove(1, accepted, 121)).toEqual({
      opened: ["main-0a1b2c3d: still listed 120 s after the deletion was accepted: p1 RUNNING"],
      ended: "listed",
    });
  });
});
