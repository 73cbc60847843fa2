import { describe, expect, it } from "vitest";
import { findingsOf } from "../../../src/client/doctor/spawn-test.ts";

describe("the spawn test in gpu-pool doctor", () => {
  const test = {
    pod: "main-0a1b2c3d",
    state: "done" as const,
    reason: null,
    checks: [{ check: "GPU", ok: true, detail: "NVIDIA L40S" }],
    costUsd: 0.0123,
  };

  it("shows each thing that the pod looked at, and that the pod is gone", () => {
    expect(findingsOf(test)).toMatchObject([
      { check: "pod: GPU", state: "ok", detail: "NVIDIA L40S" },
      { check: "spawn test", state: "ok", detail: expect.stringContaining("seen gone, cost $0.0123") },
    ]);
  });

  it("names what failed from inside, and whether anything was rented", () => {
    const checks = [{ check: "GPU", ok: false, detail: "nvidia-smi shows no GPU" }];
    expect(findingsOf({ ...test, state: "failed", reason: "GPU: nvidia-smi shows no GPU", checks })).toMatchObject([
      { check: "pod: GPU", state: "failed" },
      { state: "failed", detail: "GPU: nvidia-smi shows no GPU (pod main-0a1b2c3d, which is gone, cost $0.0123)" },
    ]);
    const refused = {
      ...test,
      state: "refused" as const,
      reason: "$4.90 an hour of at most $5",
      checks: [],
      costUsd: null,
    };
    expect(findingsOf(refused)).toMatchObject([
      { state: "failed", detail: "$4.90 an hour of at most $5", remedy: "Nothing was rented." },
    ]);
  });
});
