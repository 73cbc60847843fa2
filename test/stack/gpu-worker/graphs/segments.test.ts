import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine, GenerateRequest } from "../../../../src/gpu-worker/engines/engine.ts";
import { createPreviewEngine } from "../../../../src/gpu-worker/engines/preview/preview-engine.ts";
import { measureVideo } from "../../../../src/gpu-worker/video/measure.ts";
import { runFakeGraph } from "../../../kit/gpu-worker/fake-graph.ts";
import { type FakeTaskResult, runFakeTask, temporaryFolder } from "../../../kit/gpu-worker/fake-task.ts";
import { makeSample } from "../../../kit/gpu-worker/samples.ts";
import { greyClip, greyOf, meanColours, meanGreys, numberedClip, testFfmpeg } from "../../../kit/video/clips.ts";

const ffmpeg = testFfmpeg();
const SIZE = { parsed_resolution_wh: "64x48" };

let folder: string;
let pictures: string[];
let before: string;
let structure: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  const colours = ["0xa04040", "0x40a040", "0x4040a0"];
  pictures = await Promise.all(colours.map((colour, at) => makeSample(folder, `${at}.png`, { colour })));
  before = await greyClip(join(folder, "before.mp4"), [200, 200, 200, 200, 200, 200]);
  structure = await numberedClip(join(folder, "structure.mp4"), 16);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** An engine whose videos are of one grey, and that remembers the greys of the guide and the mask that it got. */
function plainEngine() {
  const asked: { request: GenerateRequest; guide: number[]; mask: number[]; uni3c: number[] }[] = [];
  const greys = async (path: unknown) => (typeof path === "string" ? (await meanGreys(path)).map(Math.round) : []);
  const engine: Engine = {
    name: "plain",
    grid: null,
    can: (job) => job === "generate",
    async generate(request) {
      const { values, make, outputDir, basename } = request;
      asked.push({
        request,
        guide: await greys(values["video_guide"]),
        mask: await greys(values["video_mask"]),
        uni3c: await greys(values["uni3c_guide_video"]),
      });
      const path = join(outputDir, `${basename}.mp4`);
      const frames = make.kind === "video" ? make.frames : 1;
      await greyClip(
        path,
        Array.from({ length: frames }, () => 100),
      );
      return { files: [path], modelUsed: "plain", notHonoured: [] };
    },
  };
  return { engine, asked };
}

function run(params: object, more: object = {}, taskType = "travel_segment"): Promise<FakeTaskResult> {
  return runFakeTask(folder, { taskType, params: { ...SIZE, ...params }, ...more });
}

/** A segment after `before`, of which it shares four frames. */
async function later(params: object) {
  const { engine, asked } = plainEngine();
  const predecessor = { taskId: "p", status: "Complete", outputLocation: before, resultData: null };
  const shared = { segment_index: 1, frames: 9, frame_overlap_from_previous: 4 };
  const task = await run({ ...shared, ...params }, { engine, predecessor });
  expect(task.failure).toBeNull();
  return { task, ...asked[0]! };
}

interface Analysis {
  readonly steps: readonly {
    readonly step: string;
    readonly category: string;
    readonly mismatches: readonly string[];
  }[];
  readonly mismatches: number;
}

function analysisOf({ result }: FakeTaskResult): Analysis {
  return result["analysis"] as Analysis;
}

function ignoredBy({ result }: FakeTaskResult): string[] {
  return (result["not_honoured"] as { param: string }[]).map(({ param }) => param);
}

/** The values that are not those expected; where there are more or fewer of them, their number. */
function apart(values: readonly number[], expected: readonly number[], by = 4): readonly number[] {
  return values.length === expected.length
    ? values.filter((value, at) => Math.abs(value - expected[at]!) > by)
    : [values.length];
}

describe("what comes after the model", () => {
  it("is done step by step, and each step is measured", async () => {
    const { engine } = plainEngine();
    const params = {
      segment_index: 1,
      frames: 9,
      input_image_paths_resolved: pictures,
      orchestrator_details: { input_image_paths_resolved: pictures },
      after_first_post_generation_saturation: 0.5,
      after_first_post_generation_brightness: 0.2,
      colour_match_videos: true,
      independent_segments: true,
    };
    const task = await run({ ...params, input_image_paths_resolved: undefined }, { engine });
    const colours = await meanColours(task.main());
    expect(apart(colours[0]!, [0x40, 0xa0, 0x40], 8)).toEqual([]);
    expect(apart(colours.at(-1)!, [0x40, 0x40, 0xa0], 8)).toEqual([]);
    const { steps, mismatches } = analysisOf(task);
    const chain = steps.filter(({ category }) => category === "CHAIN_DEBUG").map(({ step }) => step);
    expect(chain).toEqual(["saturation", "brightness", "colours"].map((name) => `after the step ${name}`));
    expect(steps.map(({ step }) => step)).toEqual(expect.arrayContaining(["the guide", "the mask", "the result"]));
    expect(mismatches).toBe(0);
  });

  it("says so where a segment has no picture to take colours from", async () => {
    const task = await run({ frames: 5, image_start: pictures[0], colour_match_videos: true });
    expect(ignoredBy(task)).toContain("colour_match_videos");
  });

  it("changes the first segment too where it continues a video", async () => {
    const { engine } = plainEngine();
    const params = { frames: 9, continue_from_video_resolved_path: before, frame_overlap_from_previous: 4 };
    const brighter = { ...params, after_first_post_generation_brightness: 0.5 };
    expect(apart(await meanGreys((await run(brighter, { engine })).main()), Array(9).fill(150))).toEqual([]);
    const alone = { frames: 9, after_first_post_generation_brightness: 0.5 };
    expect(apart(await meanGreys((await run(alone, { engine })).main()), Array(9).fill(100))).toEqual([]);
  });

  it("shows its pictures above a segment by itself, and above each part of a travel", async () => {
    const shown = { show_input_images: true, input_image_paths_resolved: pictures.slice(0, 2), frames: 5 };
    const alone = await run(shown, {}, "individual_travel_segment");
    expect(await measureVideo(ffmpeg, alone.main())).toMatchObject({ frames: 5, width: 64, height: 96 });
    const travel = {
      num_new_segments_to_generate: 2,
      input_image_paths_resolved: pictures,
      segment_frames_expanded: [9, 5],
      frame_overlap_expanded: 2,
      show_input_images: true,
      ...SIZE,
    };
    const params = { orchestrator_details: travel };
    const { result, results, subTasks } = await runFakeGraph(folder, { taskType: "travel_orchestrator", params });
    expect(await measureVideo(ffmpeg, result.main())).toMatchObject({ frames: 12, width: 64, height: 96 });
    const first = results.get(subTasks[0]!.id)!;
    expect(await measureVideo(ffmpeg, first.main())).toMatchObject({ frames: 9, width: 64, height: 48 });
    expect(analysisOf(result).mismatches).toBe(0);
  });
});

describe("a guide", () => {
  it("shows the frames before as strong, as grey and as bright as the task says; those mixed with grey only lead", async () => {
    const whole = await later({});
    expect(apart(whole.guide, [200, 200, 200, 200, 128, 128, 128, 128, 128])).toEqual([]);
    expect(apart(whole.mask, [0, 0, 0, 0, 255, 255, 255, 255, 255])).toEqual([]);
    const half = await later({ subsequent_starting_strength_adjustment: -0.5 });
    expect(apart(half.guide, [164, 164, 164, 164, 128, 128, 128, 128, 128])).toEqual([]);
    expect(apart(half.mask, Array(9).fill(255))).toEqual([]);
    const dark = await later({ adjust_brightness_subsequent_starting_frames: -0.5 });
    expect(apart(dark.guide.slice(0, 4), [100, 100, 100, 100])).toEqual([]);
    expect(apart(dark.mask.slice(0, 5), [0, 0, 0, 0, 255])).toEqual([]);
  });

  it("lets the frames before and the pictures fade as the task says, as an object or its JSON", async () => {
    const fade = { low_point: 0, high_point: 1, curve_type: "linear", duration_factor: 0.5 };
    const { guide } = await later({ fade_out_params_json_str: JSON.stringify(fade) });
    expect(apart(guide, [164, 128, 200, 200, 128, 128, 128, 128, 128])).toEqual([]);
    const white = await makeSample(folder, "white.png", { colour: "white" });
    const { engine, asked } = plainEngine();
    await run({ frames: 9, image_start: white, image_end: white, fade_in_params_json_str: { ...fade } }, { engine });
    expect(apart(asked[0]!.guide, [255, 128, 128, 128, 128, 170, 213, 255, 255])).toEqual([]);
    expect(apart(asked[0]!.mask, [0, 255, 255, 255, 255, 255, 255, 255, 0])).toEqual([]);
  });

  it("shows in its free frames what other videos have there in the travel", async () => {
    const { engine, asked } = plainEngine();
    const video = { path: structure, start_frame: 4, end_frame: 12, treatment: "clip", source_start_frame: 2 };
    const travel = {
      num_new_segments_to_generate: 2,
      input_image_paths_resolved: pictures.slice(0, 1),
      continue_from_video_resolved_path: before,
      segment_frames_expanded: [9, 9],
      frame_overlap_expanded: [0, 4],
      structure_guidance: { videos: [video], preprocessing: "none" },
      ...SIZE,
    };
    await runFakeGraph(folder, { taskType: "travel_orchestrator", params: { orchestrator_details: travel }, engine });
    const at = (frame: number) => greyOf(2 + frame - 4);
    expect(apart(asked[0]!.guide.slice(0, 8), [128, 128, 128, 128, at(4), at(5), at(6), at(7)])).toEqual([]);
    // The second one begins at frame 5 of the travel, with four frames of the first one.
    expect(apart(asked[1]!.guide, [100, 100, 100, 100, at(9), at(10), at(11), 128, 128])).toEqual([]);
    expect(apart(asked[1]!.mask, [0, 0, 0, 0, 255, 255, 255, 255, 255])).toEqual([]);
  });

  it("spreads a video of the older form over the whole segment, with its edges alone where these are asked for", async () => {
    const { engine, asked } = plainEngine();
    const raw = { structure_video_path: structure, structure_type: "raw", frames: 5 };
    expect((await run(raw, { engine })).failure).toBeNull();
    expect(apart(asked[0]!.guide, [0, 3, 7, 11, 15].map(greyOf))).toEqual([]);
    const edges = { ...raw, structure_type: "canny", structure_video_motion_strength: 0.5 };
    const task = await run(edges, { engine });
    // A picture of one grey has no edge.
    expect(apart(asked[1]!.guide, [0, 0, 0, 0, 0])).toEqual([]);
    expect(ignoredBy(task)).toContain("structure_guidance.strength");
  });

  it("shows the depth or the motion of a video by the engine's model, and is not made without one", async () => {
    const guidance = (preprocessing: string) => ({
      frames: 5,
      structure_guidance: { videos: [{ path: structure }], preprocessing, depth_contrast: 1.5, strength: 2 },
    });
    for (const preprocessing of ["depth", "flow"]) {
      const preview = await run(guidance(preprocessing), { engine: createPreviewEngine(ffmpeg.path) });
      expect(preview.end).toBe("completed");
      expect(analysisOf(preview).steps.map(({ step }) => step)).toContain(`after ${preprocessing}`);
      const { failure } = await run(guidance(preprocessing), { engine: plainEngine().engine });
      expect(failure).toMatchObject({
        permanent: false,
        message: expect.stringContaining(`no model for ${preprocessing}`),
      });
    }
  });

  it("is a second video, black where nothing guides, for Uni3C", async () => {
    const { engine, asked } = plainEngine();
    const video = { path: structure, start_frame: 2, end_frame: 4, treatment: "clip" };
    const guidance = { videos: [video], target: "uni3c", strength: 0.7, step_window: [0, 0.5] };
    await run({ frames: 5, model_name: "i2v_14B", image_start: pictures[0], structure_guidance: guidance }, { engine });
    expect(apart(asked[0]!.uni3c, [0, 0, greyOf(0), greyOf(1), 0])).toEqual([]);
    expect(asked[0]!.request.values).toMatchObject({ uni3c_strength: 0.7, uni3c_end_percent: 0.5 });
    expect(asked[0]!.request.values).not.toHaveProperty("structure_guidance");
  });

  it("is refused where two videos guide the same frame, or one has no frames to use", async () => {
    const videos = [
      { path: structure, end_frame: 9 },
      { path: structure, start_frame: 8 },
    ];
    const { failure } = await run({ frames: 5, structure_guidance: { videos } });
    expect(failure).toEqual({
      permanent: true,
      message: "params.structure_guidance.videos[1].start_frame: expected at least 9, the end of another video, got 8",
    });
    const short = { videos: [{ path: structure, source_start_frame: 16 }], preprocessing: "none" };
    const none = await run({ frames: 5, structure_guidance: short });
    expect(none.failure).toMatchObject({ permanent: true, message: expect.stringContaining("more than 16 frames") });
  });
});

describe("what has no effect", () => {
  it("stands in the result: parameters of a guide for a model without one, and names that no type knows", async () => {
    const details = { colour_of_sky: "green", structure_video_path: structure, orchestrator_run_id: "r", shot: null };
    const params = {
      frames: 5,
      model_name: "i2v_14B",
      image_start: pictures[0],
      desaturate_subsequent_starting_frames: 0.5,
      orchestrator_details: details,
      orchestrator_task_id_ref: "x",
    };
    const task = await run({ ...params, enhance_prompt: true }, { engine: createPreviewEngine(ffmpeg.path) });
    expect(ignoredBy(task).toSorted()).toEqual([
      "desaturate_subsequent_starting_frames",
      "enhance_prompt",
      "model_name",
      "orchestrator_details.colour_of_sky",
      "orchestrator_details.structure_video_path",
    ]);
  });

  it("of a segment stands in the result of its travel too", async () => {
    const travel = {
      num_new_segments_to_generate: 2,
      input_image_paths_resolved: pictures,
      segment_frames_expanded: [5, 5],
      enhance_prompt: true,
      enhanced_prompts_expanded: ["", "written by a model"],
      ...SIZE,
    };
    const params = { orchestrator_details: { ...travel, final_stitched_output_path: "/elsewhere.mp4" } };
    const { result, subTasks } = await runFakeGraph(folder, { taskType: "travel_orchestrator", params });
    const details = ["enhance_prompt", "final_stitched_output_path"].map((name) => `orchestrator_details.${name}`);
    expect(ignoredBy(result)).toEqual(["model_name", ...details]);
    expect(subTasks[1]!.params).toMatchObject({ base_prompt: "written by a model", enhance_prompt: false });
    expect(subTasks[0]!.params).not.toHaveProperty("enhance_prompt");
  });
});
