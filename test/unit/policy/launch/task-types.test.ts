import { describe, expect, it } from "vitest";
import { namedTypes, taskTypesOf } from "../../../../src/policy/launch/task-types.ts";
import { TASK_TYPES } from "../../../../src/task-types/task-types.ts";

const SETTINGS = {
  workerProfile: "headless-wan2gp",
  workerTaskTypes: undefined,
  workerStartCommand: undefined,
  workerEntrypoint: [],
  headlessWan2gpCommit: "50066ea8d2e9399b5f2aff2a62d9eada2e349a96",
} as const;

describe("what a launch profile is known to do", () => {
  it("is, for Headless-Wan2GP, what its version has: the newest, or that of August 2025", () => {
    const newest = taskTypesOf(SETTINGS)!;
    const older = taskTypesOf({ ...SETTINGS, headlessWan2gpCommit: `1093e7c${"0".repeat(33)}` })!;
    expect(newest).toEqual(expect.arrayContaining(["travel_orchestrator", "qwen_image_edit", "join_clips_segment"]));
    expect(newest).not.toContain("different_perspective_orchestrator");
    expect(older).toEqual(expect.arrayContaining(["travel_orchestrator", "different_perspective_orchestrator"]));
    expect(older).not.toContain("qwen_image_edit");
    for (const types of [newest, older]) {
      expect(types).not.toContain("upscaling");
    }
  });

  it("is what ours does by the table, for our own program", () => {
    const ours = TASK_TYPES.filter(({ doers }) => doers.includes("gpu-worker")).map(({ name }) => name);
    expect(taskTypesOf({ ...SETTINGS, workerProfile: "gpu-worker" })).toEqual(ours);
    expect(ours).toContain("generate_video");
  });

  it("is not known of another program", () => {
    expect(taskTypesOf({ ...SETTINGS, workerProfile: "custom" })).toBeNull();
    expect(taskTypesOf({ ...SETTINGS, workerStartCommand: "run it" })).toBeNull();
    expect(taskTypesOf({ ...SETTINGS, workerEntrypoint: ["run"] })).toBeNull();
  });

  it("is what WORKER_TASK_TYPES says, in which programs stand for all that they do", () => {
    const custom = { ...SETTINGS, workerProfile: "custom" } as const;
    expect(taskTypesOf({ ...custom, workerTaskTypes: ["own", "t2v"] })).toEqual(["own", "t2v"]);
    expect(taskTypesOf({ ...custom, workerTaskTypes: ["own", "headless-wan2gp"] })).toEqual([
      "own",
      ...taskTypesOf(SETTINGS)!,
    ]);
    expect(taskTypesOf({ ...SETTINGS, workerTaskTypes: ["any"] })).toBeNull();
    expect(namedTypes(["t2v", "t2v", "headless-wan2gp-2025-08"])!.filter((name) => name === "t2v")).toHaveLength(1);
  });
});
