import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { runFakeGraph } from "../../kit/gpu-worker/fake-graph.ts";
import { runFakeTask, temporaryFolder } from "../../kit/gpu-worker/fake-task.ts";
import { makeSample } from "../../kit/gpu-worker/samples.ts";

const SIZE = "64x48";

let folder: string;
let ffmpegPath: string;
let pictures: string[];
let clips: string[];

beforeAll(async () => {
  folder = await temporaryFolder();
  ffmpegPath = await findFfmpeg(null);
  const colours = ["red", "green", "blue", "yellow", "white", "black"];
  pictures = await Promise.all(colours.map((colour) => makeSample(folder, `${colour}.png`, { colour })));
  clips = await Promise.all(
    [20, 15, 17].map((frames, index) => makeSample(folder, `clip${index}.mp4`, { frames, colour: colours[index]! })),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function framesOf(path: string): Promise<number> {
  return (await probeVideo(path, ffmpegPath)).frames;
}

describe("a travel", () => {
  const LENGTHS = [13, 9, 17, 9, 13];
  const OVERLAPS = [4, 8, 6, 2];
  const travel = () => ({
    num_new_segments_to_generate: 5,
    input_image_paths_resolved: pictures,
    segment_frames_expanded: LENGTHS,
    frame_overlap_expanded: OVERLAPS,
    parsed_resolution_wh: SIZE,
    base_prompts_expanded: ["a", "b", "c", "d", "e"],
  });

  it.each([
    ["chained", {}],
    ["independent", { independent_segments: true }],
    ["between pictures, without a guide", { model_name: "i2v_14B", model_type: "i2v" }],
  ])("of five segments with different overlaps has exactly the planned frames: %s", async (_how, more) => {
    const params = { orchestrator_details: { ...travel(), ...more } };
    const { result, results } = await runFakeGraph(folder, { taskType: "travel_orchestrator", params });
    expect(await probeVideo(result.main(), ffmpegPath)).toMatchObject({
      frames: 61 - 20,
      width: 64,
      height: 48,
      fps: 16,
    });
    expect(result.result).toMatchObject({ segments: 5, segment_frames: LENGTHS, overlaps: OVERLAPS, total_frames: 41 });
    const lengths = await Promise.all([...results.values()].slice(0, -1).map((each) => framesOf(each.main())));
    expect(lengths).toEqual(LENGTHS);
  });

  it("continues a video, whose frames come first", async () => {
    const params = {
      ...travel(),
      num_new_segments_to_generate: 2,
      continue_from_video_resolved_path: clips[0],
      frame_overlap_expanded: [4, 2],
    };
    const { result } = await runFakeGraph(folder, { taskType: "travel_orchestrator", params });
    expect(await framesOf(result.main())).toBe(20 + 13 + 9 - 4 - 2);
    const short = { ...params, frame_overlap_expanded: [12, 2], continue_from_video_resolved_path: pictures[0] };
    const refused = await runFakeTask(folder, { taskType: "travel_orchestrator", params: short });
    expect(refused.failure).toMatchObject({
      permanent: true,
      message: expect.stringContaining("params.continue_from_video_resolved_path: expected"),
    });
  });

  it("is enlarged at the end, by the engine", async () => {
    const params = { ...travel(), num_new_segments_to_generate: 1, upscale_factor: 1.5 };
    const { result } = await runFakeGraph(folder, { taskType: "travel_orchestrator", params });
    expect(await probeVideo(result.main(), ffmpegPath)).toMatchObject({ frames: 13, width: 96, height: 72 });
  });

  it("is never stitched from some of its segments", async () => {
    const segment = { segmentIndex: 1, outputLocation: clips[0]! };
    const stitch = { run_id: "r", num_total_segments_generated: 2, parsed_resolution_wh: SIZE };
    const early = await runFakeTask(folder, { taskType: "travel_stitch", params: stitch, segments: [segment] });
    expect(early).toMatchObject({ end: "released", failure: null });
    const named = { ...stitch, segment_task_ids: ["x", "y"] };
    const missing = await runFakeTask(folder, { taskType: "travel_stitch", params: named });
    expect(missing.failure?.message).toContain("segment 0 is not there");
    const failed = { taskId: "x", status: "Failed", outputLocation: null, resultData: null };
    const outputs = { x: failed, y: { ...failed, status: "In Progress" } };
    const ended = await runFakeTask(folder, { taskType: "travel_stitch", params: named, outputs });
    expect(ended.failure?.message).toBe("segment 0 (task x) is Failed");
    const twice = { ...stitch, segment_task_ids: ["x"] };
    const wrong = await runFakeTask(folder, { taskType: "travel_stitch", params: twice });
    expect(wrong.failure?.message).toContain("params.segment_task_ids: expected 2 tasks, one for each segment");
  });

  it("hands a stitch of the older kind its segments by the run, in their order", async () => {
    const segments = [2, 0, 1].map((index) => ({ segmentIndex: index, outputLocation: clips[index]! }));
    const params = {
      orchestrator_run_id: "r",
      num_total_segments_generated: 3,
      frame_overlap_settings_expanded: [4, 2],
      parsed_resolution_wh: SIZE,
    };
    const { result } = await runFakeTask(folder, { taskType: "travel_stitch", params, segments });
    expect(result).toMatchObject({ segment_frames: [20, 15, 17], total_frames: 46 });
    const long = { ...params, frame_overlap_settings_expanded: [4, 18] };
    const { failure } = await runFakeTask(folder, { taskType: "travel_stitch", params: long, segments });
    expect(failure?.message).toBe("params.frame_overlap_settings_expanded[1]: expected at most 15, got 18");
  });
});

describe("a segment by itself", () => {
  it("is made from its own pictures, with its own length", async () => {
    const params = {
      individual_segment_params: { start_image_url: pictures[0], end_image_url: pictures[1], frames: 9 },
      segment_index: 3,
      orchestrator_details: { parsed_resolution_wh: SIZE, input_image_paths_resolved: pictures },
    };
    const segment = await runFakeTask(folder, { taskType: "individual_travel_segment", params });
    expect(await probeVideo(segment.main(), ffmpegPath)).toMatchObject({ frames: 9, width: 64, height: 48 });
  });

  it("that follows another says so when what it shares is not there", async () => {
    const params = { segment_index: 1, frame_overlap_from_previous: 4, frames: 9, parsed_resolution_wh: SIZE };
    const none = await runFakeTask(folder, { taskType: "travel_segment", params });
    expect(none.failure?.message).toContain("the segment before is not there");
    const predecessor = { taskId: "p", status: "Complete", outputLocation: pictures[0]!, resultData: null };
    const short = await runFakeTask(folder, { taskType: "travel_segment", params, predecessor });
    expect(short.failure?.message).toMatch(/params\.(frame_overlap_from_previous|dependant_on): /);
  });
});

describe("clips that are joined", () => {
  const list = () => ({
    clip_list: clips.map((url) => ({ url })),
    prompt: "x",
    context_frame_count: 3,
    gap_frame_count: 6,
  });

  it("have the new frames between them", async () => {
    const { result, subTasks } = await runFakeGraph(folder, { taskType: "join_clips_orchestrator", params: list() });
    expect(subTasks).toHaveLength(2);
    expect(await probeVideo(result.main(), ffmpegPath)).toMatchObject({ frames: 52 + 12, width: 64, height: 48 });
  });

  it("keep their length where the new frames replace some, also as a loop", async () => {
    const params = { ...list(), replace_mode: true, loop_first_clip: true };
    const { result, subTasks } = await runFakeGraph(folder, { taskType: "join_clips_orchestrator", params });
    expect(subTasks).toHaveLength(3);
    expect(await framesOf(result.main())).toBe(52);
  });

  it("run back to the beginning where there is only one", async () => {
    const params = { ...list(), clip_list: [{ url: clips[0] }], loop_first_clip: true };
    const { result, subTasks } = await runFakeGraph(folder, { taskType: "join_clips_orchestrator", params });
    expect(subTasks).toHaveLength(1);
    expect(subTasks[0]!.params).toMatchObject({ ending_video_path: expect.stringMatching(/_reversed\.mp4$/) });
    expect(await framesOf(result.main())).toBe(20 + 6 + 20);
  });

  it("are brought to one size and rate", async () => {
    const other = await makeSample(folder, "other.mp4", { frames: 30, fps: 32, width: 32, height: 32 });
    const params = { ...list(), clip_list: [{ url: clips[0] }, { url: other }] };
    const { result } = await runFakeGraph(folder, { taskType: "join_clips_orchestrator", params });
    expect(await probeVideo(result.main(), ffmpegPath)).toMatchObject({
      frames: 20 + 6 + 15,
      width: 64,
      height: 48,
      fps: 16,
    });
  });

  it("are refused before anything is generated where one is too short", async () => {
    const params = { ...list(), replace_mode: true, gap_frame_count: 40 };
    const { failure } = await runFakeTask(folder, { taskType: "join_clips_orchestrator", params });
    expect(failure).toEqual({
      permanent: true,
      message: 'params.clip_list[0].url: expected more than the 20 frames that the new ones replace, got "20 frames"',
    });
  });
});

describe("a video with portions made anew", () => {
  it("keeps its length, with portions at both edges, and its keepers are where any worker finds them", async () => {
    const portions = [
      { start_frame: 0, end_frame: 2 },
      { start_frame: 8, end_frame: 10, prompt: "another" },
      { start_frame: 18, end_frame: 19 },
    ];
    const params = { source_video_url: clips[0], portions_to_regenerate: portions, context_frame_count: 2 };
    const { result, subTasks } = await runFakeGraph(folder, { taskType: "edit_video_orchestrator", params });
    expect(subTasks).toHaveLength(3);
    expect(await framesOf(result.main())).toBe(20);
    const keepers = subTasks.map(({ params: each }) => (each as Record<string, unknown>)["ending_video_path"]);
    expect(keepers).toEqual([
      expect.stringMatching(/stored-.*_keeper1\.mp4$/),
      expect.stringMatching(/stored-.*_keeper2\.mp4$/),
      undefined,
    ]);
    expect(subTasks[0]!.params).not.toHaveProperty("starting_video_path");
  });

  it("is refused where a portion is beyond its end", async () => {
    const params = { source_video_url: clips[1], portions_to_regenerate: [{ start_frame: 3, end_frame: 15 }] };
    const { failure } = await runFakeTask(folder, { taskType: "edit_video_orchestrator", params });
    expect(failure).toEqual({
      permanent: true,
      message: "params.portions_to_regenerate[0].end_frame: expected at most 14, the last frame of the video, got 15",
    });
  });

  it.each([
    [0, 4],
    [5, 9],
    [12, 15],
  ])("keeps its length as an inpainting of frames %i to %i", async (start, end) => {
    const params = { video_path: clips[1], inpaint_start_frame: start, inpaint_end_frame: end, context_frame_count: 3 };
    const task = await runFakeTask(folder, { taskType: "inpaint_frames", params });
    expect(await framesOf(task.main())).toBe(15);
  });

  it("names the frame that an inpainting does not have", async () => {
    const params = { video_path: clips[1], inpaint_start_frame: 3, inpaint_end_frame: 16 };
    const { failure } = await runFakeTask(folder, { taskType: "inpaint_frames", params });
    expect(failure?.message).toBe("params.inpaint_end_frame: expected at most 15, the frames of the video, got 16");
  });
});
