import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { expect, it } from "vitest";
import { createWorkerActivities, type WorkerDeps } from "../../../src/activities/workers.ts";
import { DatabaseError } from "../../../src/supabase/database-error.ts";

const ID = "main-0a1b2c3d";

/** Runs the activity `recordPod` as this attempt. */
async function record(
  deps: object,
  pod: Parameters<ReturnType<typeof createWorkerActivities>["recordPod"]>[1],
  attempt = 1,
) {
  const { recordPod } = createWorkerActivities(deps as WorkerDeps);
  const info = { attempt, workflowExecution: { workflowId: `gpu-pool/main/worker/${ID}`, runId: "r" } };
  await asyncLocalStorage.run({ info } as unknown as Context, async () => await recordPod(ID, pod, true));
}

it.each([
  [
    { costPerHourUsd: 0.69, createdAt: "2026-11-22T10:00:00Z" },
    { costPerHourUsd: 0.69, createdAt: "2026-11-22T10:00:00Z" },
  ],
  [
    { costPerHourUsd: 0, createdAt: "2026-11-22 20:57:28.123 +0000 UTC" },
    { costPerHourUsd: null, createdAt: "2026-11-22T20:57:28.123Z" },
  ],
  [
    { costPerHourUsd: 1e9, createdAt: "Sun Nov 22 2026" },
    { costPerHourUsd: null, createdAt: null },
  ],
])("invariant 17: a pod that a history describes as %j is recorded as %j", async (described, recorded) => {
  const calls: unknown[] = [];
  const workers = { recordPod: async (...args: unknown[]) => void calls.push(args) };
  await record({ workers }, { podId: "p1", ...described });
  expect(calls).toEqual([[ID, { podId: "p1", ...recorded }, true]]);
});

it("invariant 16: a pod whose price or time the database refuses is recorded without them", async () => {
  const calls: unknown[] = [];
  const workers = {
    recordPod: async (id: string, pod: { costPerHourUsd: number | null }) => {
      calls.push([id, pod]);
      if (pod.costPerHourUsd !== null) {
        throw new DatabaseError("worker_record_pod", 400, "22003", "numeric field overflow", null);
      }
    },
  };
  await record({ workers }, { podId: "p1", costPerHourUsd: 1, createdAt: null });
  expect(calls.at(-1)).toEqual([ID, { podId: "p1", costPerHourUsd: null, createdAt: null }]);
});

it.each([
  [400, "PT400"],
  [503, "PGRST002"],
])(
  "invariant 16: a pod that cannot be recorded is tried again, with an alert until it can be: %d %s",
  async (status, code) => {
    const told: unknown[] = [];
    let works = false;
    const workers = {
      recordPod: async () => {
        if (!works) {
          throw new DatabaseError("worker_record_pod", status, code, "no", null);
        }
      },
    };
    const alerts = {
      open: async (...args: unknown[]) => void told.push(args),
      close: async (...args: unknown[]) => void told.push(args),
    };
    const pod = { podId: "p1", costPerHourUsd: 1, createdAt: null };
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      await expect(record({ workers, alerts }, pod, attempt)).rejects.toBeInstanceOf(DatabaseError);
    }
    const message = expect.stringContaining("pod p1 cannot be recorded");
    expect(told).toEqual([[{ kind: "record_failing", subject: ID, message }, "main"]]);
    works = true;
    await record({ workers, alerts }, pod, 6);
    expect(told.at(-1)).toEqual(["record_failing", ID]);
  },
);
