import { describe, expect, it } from "vitest";
import { testParams, whyImpossible } from "../../../src/client/commands/tasks/generate/test-params.ts";
import { resolveParameters } from "../../../src/task-types/resolve.ts";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";

const SAMPLES = { pictures: ["1.png", "2.png", "3.png"], mask: "mask.png", clips: ["1.mp4", "2.mp4"] } as const;

describe("gpu-pool tasks generate", () => {
  it.each(TASK_TYPES.filter(({ name }) => whyImpossible(name) === null).map((type) => [type.name, type] as const))(
    "makes a task of %s that its type accepts, small, with all that it says understood",
    (_name, type) => {
      const resolution = resolveParameters(type, testParams(type, SAMPLES, 3));
      expect(resolution).toMatchObject({ ok: true });
      const { kept } = resolution as typeof resolution & { ok: true };
      expect(Object.keys(kept).filter((field) => field !== "orchestrator_details")).toEqual([]);
    },
  );
});
