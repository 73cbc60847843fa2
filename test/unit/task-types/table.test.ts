import { describe, expect, it } from "vitest";
import { gridOf } from "../../../src/task-types/grid.ts";
import { HOLDERS } from "../../../src/task-types/levels.ts";
import { findTaskType, TASK_TYPES } from "../../../src/task-types/task-types.ts";

/** What the newest Headless-Wan2GP and that of August 2025 route by name; any other name runs as t2v there. */
const KNOWN_TO_HEADLESS_WAN2GP = [
  ["vace", "vace_21", "vace_22", "flux", "t2v", "t2v_22", "i2v", "i2v_22", "hunyuan", "ltxv", "generate_video"],
  ["wan_2_2_t2i", "qwen_image_edit", "qwen_image_hires", "qwen_image_style", "image_inpaint", "annotated_image_edit"],
  ["qwen_image", "qwen_image_2512", "z_image_turbo", "z_image_turbo_i2i", "travel_orchestrator"],
  ["different_perspective_orchestrator", "join_clips_orchestrator", "edit_video_orchestrator", "travel_segment"],
  ["join_clips_segment", "individual_travel_segment", "inpaint_frames", "travel_stitch", "extract_frame"],
  ["create_visualization", "magic_edit", "rife_interpolate_images", "generate_openpose", "dp_final_gen"],
].flat();
const OTHERS = ["single_image", "wgp", "upscaling", "generate_depth"];

const types = TASK_TYPES.map((type) => [type.name, type] as const);

describe("the table of task types", () => {
  it("has every type that Headless-Wan2GP has, and four more", () => {
    const names = TASK_TYPES.map(({ name }) => name);
    expect(names.toSorted()).toEqual([...KNOWN_TO_HEADLESS_WAN2GP, ...OTHERS].toSorted());
  });

  it("gives each name and each alias to one type, and no alias is a name that an older worker claims by", () => {
    const names = TASK_TYPES.flatMap(({ name, aliases }) => [name, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
    const aliases = TASK_TYPES.flatMap((type) => type.aliases);
    expect(aliases).toEqual(["video_generation"]);
    expect(aliases.filter((alias) => KNOWN_TO_HEADLESS_WAN2GP.includes(alias))).toEqual([]);
    expect(findTaskType("video_generation")).toBe(findTaskType("generate_video"));
    expect(findTaskType("toString")).toBeUndefined();
  });

  it.each(types)("%s: each parameter has names of its own", (_, { parameters }) => {
    const names = parameters.flatMap(({ name, aliases }) => [name, ...aliases]);
    const sides = parameters.some(({ name }) => name === "resolution") ? ["width", "height"] : [];
    expect(new Set([...names, ...sides]).size).toBe(names.length + sides.length);
    expect(names.filter((name) => HOLDERS.has(name) && name !== "dp_orchestrator_payload")).toEqual([]);
  });

  it.each(types)("%s: what is given by default is allowed, and lies on the model's grid", (_, type) => {
    const defaults = type.parameters.filter(({ fallback, fixed }) => (fixed ?? fallback) !== undefined);
    for (const { name, kind, fallback, fixed, isRequired } of defaults) {
      expect({ name, isRequired, ...kind.schema.safeParse(fixed ?? fallback) }).toEqual({
        name,
        isRequired: false,
        success: true,
        data: fixed ?? fallback,
      });
    }
    const { frameStep } = gridOf(type.model);
    const lengths = defaults.filter(({ kind }) => kind.snaps === "length");
    expect(lengths.filter(({ fallback, fixed }) => (Number(fixed ?? fallback) - 1) % frameStep !== 0)).toEqual([]);
  });

  it.each(types)(
    "%s: names a model exactly if its own parameters choose one",
    (_, { model, parameters, oneOf, needs }) => {
      const chosen = parameters.find(({ name }) => name === "model");
      expect(chosen?.fallback ?? null).toBe(needs.includes("network") ? null : model);
      const names = parameters.map(({ name }) => name);
      expect(oneOf.flat().filter((name) => !names.includes(name))).toEqual([]);
    },
  );
});
