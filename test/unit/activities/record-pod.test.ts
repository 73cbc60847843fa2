import { expect, it } from "vitest";
import { createWorkerActivities, type WorkerDeps } from "../../../src/activities/workers.ts";

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
  const { recordPod } = createWorkerActivities({ workers } as unknown as WorkerDeps);
  await recordPod("main-0a1b2c3d", { podId: "p1", ...described }, true);
  expect(calls).toEqual([["main-0a1b2c3d", { podId: "p1", ...recorded }, true]]);
});
