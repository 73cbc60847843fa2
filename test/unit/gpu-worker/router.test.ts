import { describe, expect, it } from "vitest";
import { allowedTypes, createRouter, HANDLERS } from "../../../src/gpu-worker/router.ts";
import { createReplicateHandlers } from "../../../src/gpu-worker/tasks/magic-edit.ts";
import { ParamsError } from "../../../src/gpu-worker/tasks/params-error.ts";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";

describe("the router", () => {
  it("reads video_generation as generate_video", () => {
    const router = createRouter({ can: () => true });
    expect(router.find("video_generation")).toEqual(router.find("generate_video"));
    expect(router.find("generate_video").type.name).toBe("generate_video");
  });

  it.each(["make_tea", "travel_stitch"])("names %s, which it cannot do, and what it can", (name) => {
    const { generate_video: video } = HANDLERS;
    const router = createRouter({ can: () => true }, { generate_video: video! });
    expect(() => router.find(name)).toThrow(
      new ParamsError(
        `task_type: "${name}" is not supported by this worker; supported: generate_video, video_generation`,
      ),
    );
  });

  it("does no type whose job its engine cannot do", () => {
    const types = createRouter({ can: () => false }).types;
    expect(types).toEqual(Object.keys(HANDLERS).filter((name) => HANDLERS[name]!.jobs.length === 0));
  });

  it("states what it can do, or of that what the settings allow, by name or alias", () => {
    const router = createRouter({ can: () => true });
    expect(allowedTypes(router, null)).toEqual(router.types);
    expect(allowedTypes(router, ["video_generation", "make_tea"])).toEqual(["generate_video"]);
    expect(allowedTypes(router, [])).toEqual([]);
  });

  it("does exactly the types that the table says are done by ours", () => {
    const ours = TASK_TYPES.filter(({ doers }) => doers.includes("gpu-worker")).map(({ name }) => name);
    const byReplicate = createReplicateHandlers({ token: "r8", apiUrl: "http://127.0.0.1:9/v1" });
    expect(Object.keys({ ...HANDLERS, ...byReplicate }).toSorted()).toEqual(ours.toSorted());
  });
});
