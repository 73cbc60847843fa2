import { describe, expect, it } from "vitest";
import { ParamsError, chooseSeed, parseVideoParams, resolveTaskType } from "../../../src/gpu-worker/params.ts";

const VIDEO = resolveTaskType("generate_video");

describe("task types", () => {
  it("reads video_generation as generate_video", () => {
    expect(VIDEO.name).toBe("generate_video");
    expect(resolveTaskType("video_generation")).toBe(VIDEO);
  });

  it.each(["make_tea", "vace"])("names %s, which it cannot do, and what it can", (name) => {
    expect(() => resolveTaskType(name)).toThrow(
      new ParamsError(
        `task_type: "${name}" is not supported by this worker; supported: generate_video, video_generation`,
      ),
    );
  });
});

describe("video params", () => {
  it("fills in the defaults when only a prompt is given", () => {
    expect(parseVideoParams(VIDEO, { prompt: "a cat" })).toMatchObject({
      prompt: "a cat",
      frames: 49,
      fps: 16,
      width: 512,
      height: 512,
      seed: -1,
      unknownKeys: [],
    });
  });

  it("reads the aliases video_length and resolution", () => {
    const params = parseVideoParams(VIDEO, { prompt: "a cat", video_length: 81, resolution: "832x480" });
    expect(params).toMatchObject({ frames: 81, width: 832, height: 480, unknownKeys: [] });
  });

  it("treats null as not given, and lists what else was given and what it does not know", () => {
    const params = parseVideoParams(VIDEO, { prompt: "a cat", frames: null, steps: 5, extra: null, tea: 1 });
    expect(params).toMatchObject({ frames: 49, others: ["steps"], unknownKeys: ["tea"] });
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
    expect(() => parseVideoParams(VIDEO, { prompt: "a cat", ...fields })).toThrow(message);
  });

  it("names a prompt that is missing or blank, together with everything else that is wrong", () => {
    expect(() => parseVideoParams(VIDEO, {})).toThrow("params.prompt: expected a text that is not empty, got nothing");
    expect(() => parseVideoParams(VIDEO, { prompt: " ", frames: 1001 })).toThrow(
      'params.prompt: expected a text that is not empty, got " "; ' +
        "params.frames: expected an integer between 1 and 1000, got 1001",
    );
  });

  it("refuses params that are no object", () => {
    expect(() => parseVideoParams(VIDEO, ["a cat"])).toThrow('params: expected a JSON object, got ["a cat"]');
    expect(() => parseVideoParams(VIDEO, null)).toThrow("params: expected a JSON object, got null");
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
