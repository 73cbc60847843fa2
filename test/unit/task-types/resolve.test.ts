import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ANY, gridOf, snapLength, snapSide } from "../../../src/task-types/grid.ts";
import { resolveParameters } from "../../../src/task-types/resolve.ts";
import type { TaskType } from "../../../src/task-types/task-type.ts";
import { findTaskType, TASK_TYPES } from "../../../src/task-types/task-types.ts";
import { unknownFields } from "../../../src/task-types/unknown-fields.ts";

function typeNamed(name: string): TaskType {
  const type = findTaskType(name);
  if (type === undefined) {
    throw new Error(`no type ${name}`);
  }
  return type;
}

/** The values of params that are right, by name. */
function values(type: string, params: object): Record<string, unknown> {
  const resolution = resolveParameters(typeNamed(type), params);
  if (!resolution.ok) {
    throw new Error(JSON.stringify(resolution.problems));
  }
  return Object.fromEntries(Object.entries(resolution.values).map(([name, { value }]) => [name, value]));
}

function resolved(type: string, params: object, name: string) {
  const resolution = resolveParameters(typeNamed(type), params);
  return resolution.ok ? resolution.values[name] : resolution.problems;
}

function problems(type: string, params: unknown): string[] {
  const resolution = resolveParameters(typeNamed(type), params);
  return resolution.ok ? [] : resolution.problems.map(({ field, what }) => `${field}: ${what}`);
}

const GUIDED = { prompt: "a cat", video_guide: "https://example.com/guide.mp4" };

describe("the names of parameters", () => {
  it("are read in every spelling, and each value says which field gave it", () => {
    const params = { ...GUIDED, steps: 20, frames: 81, lora_weights: ["a"], lora_multipliers: "1;0", strength: 0.5 };
    expect(values("vace", params)).toMatchObject({
      num_inference_steps: 20,
      video_length: 81,
      activated_loras: ["a"],
      loras_multipliers: "1;0",
      denoising_strength: 0.5,
      model: "vace_14B_cocktail_2_2",
      negative_prompt: "",
      seed: -1,
    });
    expect(resolved("vace", params, "num_inference_steps")).toEqual({
      value: 20,
      from: ["params.steps"],
      adjusted: null,
    });
    expect(resolved("vace", params, "seed")).toEqual({ value: -1, from: [], adjusted: null });
    expect(values("i2v_22", { prompt: "x", image_url: "a.png" })).toMatchObject({ image_start: "a.png" });
    expect(values("t2v", { prompt: "x", lora_names: "a, b ,", image_refs_paths: ["c"] })).toMatchObject({
      activated_loras: ["a", "b"],
      image_refs: ["c"],
    });
  });

  it("may be given twice with one value, and not with two", () => {
    expect(values("t2v", { prompt: "x", steps: 4, num_inference_steps: 4 })).toMatchObject({ num_inference_steps: 4 });
    expect(problems("t2v", { prompt: "x", steps: 4, num_inference_steps: 5 })).toEqual([
      "params.steps: says 4 where params.num_inference_steps says 5; give one of the two",
    ]);
  });

  it("leave steps alone in the travel types, where it means something else", () => {
    const segment = { prompt: "x", steps: "timeline" };
    expect(values("travel_segment", segment)).not.toHaveProperty("num_inference_steps");
    expect(resolveParameters(typeNamed("travel_segment"), segment)).toMatchObject({ kept: { steps: "timeline" } });
  });

  it("that a type does not have are kept as they are, and null is not given", () => {
    const params = { prompt: "x", tea: { green: null }, seed: null, other: null, orchestrator_details: {} };
    const resolution = resolveParameters(typeNamed("t2v"), params);
    expect(resolution).toMatchObject({ kept: { tea: { green: null }, other: null, orchestrator_details: {} } });
    expect(resolution.ok && unknownFields(resolution.kept)).toEqual(["tea"]);
    expect(values("t2v", params)).toMatchObject({ seed: -1 });
    expect(values("t2v", { prompt: "x", image_url: "", model: "" })).toMatchObject({ model: "t2v" });
  });
});

describe("the levels of parameters", () => {
  const details = {
    segment_index: 1,
    orchestrator_details: {
      base_prompts_expanded: ["first", "second"],
      negative_prompts_expanded: ["no dogs", "no cats"],
      segment_frames_expanded: [81, 61],
      negative_prompt: "for all",
      seed_base: 7,
      parsed_resolution_wh: [832, 480],
      guidance_scale: 3,
    },
    full_orchestrator_payload: { guidance_scale: 5, flow_shift: 2 },
  };

  it("count in the order individual segment, segment, details, payload", () => {
    expect(values("travel_segment", details)).toMatchObject({
      prompt: "second",
      negative_prompt: "no cats",
      video_length: 61,
      seed: 7,
      resolution: "832x480",
      guidance_scale: 3,
      flow_shift: 2,
    });
    const segment = { ...details, base_prompt: "third", guidance_scale: 2, seed_to_use: 8 };
    expect(values("travel_segment", segment)).toMatchObject({ prompt: "third", guidance_scale: 2, seed: 8 });
    const one = { ...segment, individual_segment_params: { prompt: "fourth", frames: 13, width: 640 } };
    expect(values("individual_travel_segment", one)).toMatchObject({
      prompt: "fourth",
      video_length: 13,
      resolution: "640x480",
      guidance_scale: 2,
    });
    expect(resolved("travel_segment", details, "prompt")).toMatchObject({
      from: ["params.orchestrator_details.base_prompts_expanded[1]"],
    });
  });

  it("let an individual segment count for segments alone", () => {
    expect(values("t2v", { prompt: "x", individual_segment_params: { prompt: "y" } })).toMatchObject({ prompt: "x" });
  });

  it("are looked at in direct types and orchestrators too", () => {
    expect(values("t2v", { orchestrator_details: { prompt: "from details" } })).toMatchObject({
      prompt: "from details",
    });
    const travel = {
      orchestrator_details: { num_new_segments_to_generate: 2, input_image_paths_resolved: ["a", "b"] },
    };
    expect(values("travel_orchestrator", travel)).toMatchObject({
      num_new_segments_to_generate: 2,
      seed_base: 12_345,
      crossfade_sharp_amt: 0.3,
    });
    const last = { dp_orchestrator_payload: { original_params: { prompt: "x", output_video_frames: 33 } } };
    expect(values("dp_final_gen", last)).toMatchObject({ prompt: "x", output_video_frames: 33 });
  });

  it("name the level in what is wrong, and do not look behind a level that has a value", () => {
    expect(problems("travel_segment", { orchestrator_details: { guidance_scale: "much" } })).toEqual([
      'params.orchestrator_details.guidance_scale: expected a number, got "much"',
    ]);
    expect(
      values("travel_segment", { guidance_scale: 1, orchestrator_details: { guidance_scale: "much" } }),
    ).toBeTruthy();
  });
});

describe("sizes and lengths", () => {
  it("are cut to the model's grid, and say what they were", () => {
    expect(resolved("vace", { ...GUIDED, frames: 84 }, "video_length")).toEqual({
      value: 81,
      from: ["params.frames"],
      adjusted: { from: 84, why: "vace_14B_cocktail_2_2 makes lengths of 4n+1 frames" },
    });
    expect(resolved("vace", { ...GUIDED, resolution: "500x500" }, "resolution")).toEqual({
      value: "496x496",
      from: ["params.resolution"],
      adjusted: { from: "500x500", why: "vace_14B_cocktail_2_2 makes sides that are multiples of 16 px" },
    });
    const ltxv = { prompt: "x", frames: 84, width: 833, height: 481 };
    expect(values("ltxv", ltxv)).toMatchObject({ video_length: 81, resolution: "832x480" });
    expect(values("t2v", { ...ltxv, model: "ltxv_13B", frames: 80 })).toMatchObject({ video_length: 73 });
    expect(values("z_image_turbo_i2i", { image: "a.png", resolution: "1000x999" })).toMatchObject({
      resolution: "1000x992",
    });
  });

  it("stay as they are on a grid of every size", () => {
    const resolution = resolveParameters(typeNamed("generate_video"), { prompt: "x", frames: 24, width: 130 }, ANY);
    expect(resolution).toMatchObject({ values: { video_length: { value: 24 }, resolution: { value: "130x512" } } });
  });

  it("of a picture are one frame, whatever is asked", () => {
    expect(resolved("wan_2_2_t2i", { prompt: "x", frames: 81 }, "video_length")).toMatchObject({
      value: 1,
      adjusted: { from: 81, why: "always 1: the result is a picture" },
    });
    expect(values("flux", { prompt: "x", video_length: 4 })).toMatchObject({ num_images: 4 });
  });

  it("with one side want the other, where the type has no default", () => {
    expect(problems("qwen_image_edit", { prompt: "x", image: "a.png", width: 512 })).toEqual([
      "params.height: expected an integer between 16 and 8192, beside params.width, got nothing",
    ]);
  });

  it("never become longer or larger, and never lose a whole step", () => {
    const grids = fc.constantFrom(ANY, gridOf("t2v"), gridOf("ltxv_13B"), gridOf("z_image_img2img"));
    fc.assert(
      fc.property(grids, fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 16, max: 8_192 }), (grid, n, side) => {
        const frames = snapLength(n, grid);
        expect(frames).toBeGreaterThan(n - grid.frameStep);
        expect(frames).toBeLessThanOrEqual(n);
        expect((frames - 1) % grid.frameStep).toBe(0);
        const px = snapSide(side, grid);
        expect(px).toBeGreaterThan(side - grid.sidePx);
        expect(px).toBeLessThanOrEqual(Math.max(side, grid.sidePx));
        expect(px % grid.sidePx).toBe(0);
      }),
    );
  });
});

describe("what is wrong", () => {
  it("is named with the field, what is allowed and the value, all of it at once", () => {
    expect(problems("vace", { prompt: " ", frames: 0, steps: 1.5, resolution: "wide" })).toEqual([
      'params.prompt: expected a text that is not empty, got " "',
      "params.frames: expected an integer between 1 and 10000, got 0",
      'params.resolution: expected a text such as "832x480", two integers between 16 and 8192, got "wide"',
      "params.video_guide: expected the URL or path of a file, got nothing",
      "params.steps: expected an integer between 1 and 1000, got 1.5",
    ]);
    expect(problems("t2v", "a cat")).toEqual(['params: expected a JSON object, got "a cat"']);
    expect(problems("i2v_22", { prompt: "x" })).toEqual([
      "params.image_start: expected the URL or path of a file, or a list of them, or params.video_source, got nothing",
    ]);
    expect(problems("join_clips_orchestrator", { clip_list: [{ url: "a" }] })).toEqual([
      'params.clip_list: expected at least two clips, or one with loop_first_clip, got [{"url":"a"}]',
    ]);
  });

  it.each(TASK_TYPES.map((type) => [type.name, type] as const))(
    "%s: a value of no kind is refused in each field, under each of its names",
    (_, type) => {
      const refused = type.parameters.flatMap(({ name, aliases, kind }) =>
        kind.allowed === "a list" || kind.allowed === "an object" ? [] : [name, ...aliases],
      );
      const wrong = [{ no: "kind" }, [[]]];
      for (const name of refused) {
        const found = wrong.map((value) => problems(type.name, { [name]: value }).join("; "));
        expect(found.some((text) => text.includes(`params.${name}: expected `))).toBe(true);
      }
    },
  );
});

describe("for any params", () => {
  const some = [
    1,
    5,
    84,
    0.5,
    "832x480",
    "a.png",
    [512, 512],
    ["a", "b"],
    true,
    "",
    -1,
    {},
    [{ url: "a" }, { url: "b" }],
  ];
  const anyValue = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom<unknown>(...some, null, 2 ** 60));
  const LEVELS = ["individual_segment_params", "orchestrator_details", "full_orchestrator_payload"];

  /** Mostly right ones: each parameter at some level, under some name. */
  function rightParams(type: TaskType) {
    const fields = type.parameters.map(({ name, aliases, kind, isRequired }) => {
      const allowed = some.filter((value) => kind.schema.safeParse(value).success);
      const values = allowed.length > 0 ? fc.constantFrom(...allowed) : anyValue;
      const field = fc.tuple(fc.constantFrom("params", ...LEVELS), fc.constantFrom(name, ...aliases), values);
      return isRequired ? field : fc.option(field);
    });
    return fc.tuple(fc.tuple(...fields), anyValue).map(([chosen, tea]) => {
      const levels: Record<string, Record<string, unknown>> = { params: { tea } };
      for (const [level, name, value] of chosen.filter((each) => each !== null)) {
        (levels[level] ??= {})[name] = value;
      }
      const { params, ...others } = levels;
      return { ...others, ...params };
    });
  }

  function anyParams(type: TaskType) {
    const names = type.parameters.flatMap(({ name, aliases, perSegment = name }) => [name, ...aliases, perSegment]);
    const keys = fc.constantFrom(...names, "width", "height", "segment_index", "tea", "__proto__");
    const fields = fc.dictionary(keys, anyValue, { maxKeys: 6 });
    const levels = fc.dictionary(fc.constantFrom(...LEVELS), fc.oneof(fields, anyValue), { maxKeys: 2 });
    return fc.oneof(
      fc.tuple(fields, levels).map(([one, other]) => ({ ...one, ...other })),
      anyValue,
    );
  }

  const plain = (resolution: ReturnType<typeof resolveParameters>) =>
    resolution.ok && Object.fromEntries(Object.entries(resolution.values).map(([name, { value }]) => [name, value]));

  it("nothing is thrown, what was resolved resolves to itself, and nothing unknown is lost", () => {
    const right = fc.constantFrom(...TASK_TYPES).chain((type) => fc.tuple(fc.constant(type), rightParams(type)));
    const any = fc.constantFrom(...TASK_TYPES).chain((type) => fc.tuple(fc.constant(type), anyParams(type)));
    let resolvedOnes = 0;
    fc.assert(
      fc.property(fc.oneof(right, any), ([type, params]) => {
        const first = resolveParameters(type, params);
        if (!first.ok) {
          return first.problems.length > 0;
        }
        resolvedOnes += 1;
        const again = resolveParameters(type, { ...first.kept, ...plain(first) });
        expect(plain(again)).toEqual(plain(first));
        expect(again).toMatchObject({ kept: first.kept });
        const given = params as Record<string, unknown>;
        expect(["tea", ...LEVELS].map((name) => first.kept[name])).toEqual(
          ["tea", ...LEVELS].map((name) => given[name]),
        );
        return true;
      }),
      { numRuns: 1_000 },
    );
    expect(resolvedOnes).toBeGreaterThan(200);
  });
});
