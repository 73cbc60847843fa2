import { describe, expect, it } from "vitest";
import { createRouter } from "../../../src/gpu-worker/router.ts";
import { chooseSeed, notHonouredOf, resolveTask } from "../../../src/gpu-worker/tasks/resolve-task.ts";
import { ANY } from "../../../src/task-types/grid.ts";

const router = createRouter({ can: () => true });
const VIDEO = router.find("generate_video").type;

function resolve(params: unknown) {
  return resolveTask(VIDEO, { params, leaseToken: "a lease" }, ANY);
}

describe("video params", () => {
  it("fills in the defaults when only a prompt is given", () => {
    const { values, unknown } = resolve({ prompt: "a cat" });
    expect(values).toMatchObject({ prompt: "a cat", video_length: 49, fps: 16, resolution: "512x512" });
    expect(values["seed"]).toBe(chooseSeed(-1, "a lease"));
    expect(unknown).toEqual([]);
  });

  it("reads the aliases video_length and resolution", () => {
    const { values, unknown } = resolve({ prompt: "a cat", video_length: 81, resolution: "832x480" });
    expect(values).toMatchObject({ video_length: 81, resolution: "832x480" });
    expect(unknown).toEqual([]);
  });

  it("treats null as not given", () => {
    const { values, unknown } = resolve({ prompt: "a cat", frames: null, extra: null });
    expect(values).toMatchObject({ video_length: 49 });
    expect(unknown).toEqual([]);
  });

  it("lists exactly the parameters that were given and had no effect, by the names that they were given", () => {
    const reason = "no model";
    const without = ["model", "num_inference_steps", "negative_prompt"].map((param) => ({ param, reason }));
    expect(notHonouredOf(resolve({ prompt: "a cat", steps: 5, model_name: "t2v", tea: 1 }), without)).toEqual([
      { param: "model_name", reason },
      { param: "steps", reason },
      { param: "tea", reason: "no parameter of this name is known" },
    ]);
  });

  it.each([
    [{ width: 513 }, "params.width: expected an even integer between 16 and 4096, got 513"],
    [{ height: 14 }, "params.height: expected an even integer between 16 and 4096, got 14"],
    [{ frames: 0 }, "params.frames: expected an integer between 1 and 1000, got 0"],
    [{ frames: "24" }, 'params.frames: expected an integer between 1 and 1000, got "24"'],
    [{ fps: 121 }, "params.fps: expected a number between 1 and 120, got 121"],
    [{ seed: 1.5 }, "params.seed: expected an integer, -1 (random) or greater, got 1.5"],
    [{ seed: 2 ** 60 }, "params.seed: expected a number from -9007199254740991 to 9007199254740991, got a longer one"],
    [{ lora_weights: [1] }, "params.lora_weights: expected a list of texts, or one text with commas between, got [1]"],
    [
      { resolution: "640×480" },
      'params.resolution: expected a text such as "832x480", two even integers between 16 and 4096, got "640×480"',
    ],
    [{ width: 640, resolution: "512x512" }, "params.resolution: says 512 where params.width says 640"],
    [{ frames: 5, video_length: 9 }, "params.frames: says 5 where params.video_length says 9"],
  ])("names the field, the expectation and the value for %j", (fields, message) => {
    expect(() => resolve({ prompt: "a cat", ...fields })).toThrow(message);
  });

  it("names a prompt that is missing or blank, together with everything else that is wrong", () => {
    expect(() => resolve({})).toThrow("params.prompt: expected a text that is not empty, got nothing");
    expect(() => resolve({ prompt: " ", frames: 1001 })).toThrow(
      'params.prompt: expected a text that is not empty, got " "; ' +
        "params.frames: expected an integer between 1 and 1000, got 1001",
    );
  });

  it("refuses params that are no object", () => {
    expect(() => resolve(["a cat"])).toThrow('params: expected a JSON object, got ["a cat"]');
    expect(() => resolve(null)).toThrow("params: expected a JSON object, got null");
  });
});

describe("the seed", () => {
  it("is the given one, or one that the lease decides", () => {
    expect(chooseSeed(42, "lease-a")).toBe(42);
    const drawn = chooseSeed(-1, "lease-a");
    expect(drawn).toBeGreaterThanOrEqual(0);
    expect(chooseSeed(-1, "lease-a")).toBe(drawn);
    expect(chooseSeed(-1, "lease-b")).not.toBe(drawn);
  });
});
