import { copyFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine, TransformRequest } from "../../../src/gpu-worker/engines/engine.ts";
import { createRouter } from "../../../src/gpu-worker/router.ts";
import { type Area, layOut } from "../../../src/gpu-worker/tasks/utility/visualization-layout.ts";
import { measureVideo } from "../../../src/gpu-worker/video/measure.ts";
import { extractFrame } from "../../../src/gpu-worker/video/pictures.ts";
import { runFakeTask } from "../../kit/gpu-worker/fake-task.ts";
import {
  frameNumbers,
  greyOf,
  meanGreys,
  numberedClip,
  openFolder,
  rawFrames,
  SMALL,
  testFfmpeg,
} from "../../kit/video/clips.ts";

const ffmpeg = testFfmpeg();
let folder: Awaited<ReturnType<typeof openFolder>>;
let video: string;
let picture: string;

beforeAll(async () => {
  folder = await openFolder();
  video = await numberedClip(folder.path("video.mp4"), 12);
  picture = folder.path("picture.png");
  await extractFrame(ffmpeg, video, 4, picture);
});
afterAll(() => folder.remove());

function run(taskType: string, params: object, options: object = {}) {
  return runFakeTask(folder.folder, { taskType, params, ...options });
}

/** An engine that has models, copies a file in place of running them, and tells what it was asked. */
function copyingEngine(made: string, can: readonly string[]) {
  const asked: TransformRequest[] = [];
  const engine: Engine = {
    name: "models",
    grid: null,
    can: (job) => can.includes(job),
    generate: async () => {
      throw new Error("not asked for");
    },
    async transform(request) {
      asked.push(request);
      const path = join(request.outputDir, `${request.basename}${extname(made)}`);
      await copyFile(made, path);
      return { files: [path], modelUsed: "a model", notHonoured: [] };
    },
  };
  return { engine, asked };
}

function overlap(a: Area, b: Area): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

describe("extract_frame", () => {
  it.each([
    [{ frame_index: 7 }, 7],
    [{ frame_index: -1 }, 11],
    [{}, 0],
  ])("%j of a video is frame %i, as PNG", async (params, frame) => {
    const task = await run("extract_frame", { input_video_path: video, ...params });
    expect(await measureVideo(ffmpeg, task.main())).toMatchObject({ codec: "png", frames: 1, ...SMALL });
    expect(await frameNumbers(task.main())).toEqual([frame]);
    expect(task.result).toMatchObject({ frame_index: frame });
  });

  it("takes the video that another task has made", async () => {
    const made = { taskId: "t1", status: "Complete", outputLocation: video, resultData: null };
    const task = await run("extract_frame", { input_video_task_id: "t1", frame_index: 3 }, { outputs: { t1: made } });
    expect(await frameNumbers(task.main())).toEqual([3]);
  });

  it("fails for good without such a frame or task, and is tried again while the task goes on", async () => {
    const beyond = await run("extract_frame", { input_video_path: video, frame_index: 12 });
    expect(beyond.failure).toMatchObject({ permanent: true });
    expect(beyond.failure?.message).toMatch(/^params\.frame_index: .*video\.mp4 has no frame 12: it has 12 frames/);
    const nobody = await run("extract_frame", { input_video_task_id: "t1" });
    expect(nobody.failure).toMatchObject({ permanent: true });
    expect(nobody.failure?.message).toContain('got "t1"; there is no such task');
    const going = { taskId: "t1", status: "In Progress", outputLocation: null, resultData: null };
    const early = await run("extract_frame", { input_video_task_id: "t1" }, { outputs: { t1: going } });
    expect(early.failure).toMatchObject({ permanent: false });
  });
});

describe("rife_interpolate_images", () => {
  const asked = { frames: 5, resolution: "64x48", fps: 24 };

  it("leads from one picture to the other by the engine's model", async () => {
    const { engine, asked: requests } = copyingEngine(video, ["interpolate"]);
    const params = { input_image_path1: picture, input_image_path2: picture, ...asked, allow_approximate: true };
    const { result } = await run("rife_interpolate_images", params, { engine });
    expect(result).toMatchObject({ model_used: "a model", engine: "models" });
    expect(result).not.toHaveProperty("approximate");
    const make = { kind: "video", frames: 5, fps: 24, width: 64, height: 48 };
    expect(requests).toMatchObject([{ job: "interpolate", inputs: [picture, picture], make }]);
  });

  it("is estimated by ffmpeg only where the task allows it, and says so", async () => {
    const last = folder.path("last.png");
    await extractFrame(ffmpeg, video, 10, last);
    const params = { input_image_path1: picture, input_image_path2: last, output_path: "/elsewhere.mp4", ...asked };
    const task = await run("rife_interpolate_images", { ...params, allow_approximate: true });
    expect(await measureVideo(ffmpeg, task.main())).toMatchObject({ frames: 5, fps: 24, ...SMALL });
    const greys = await meanGreys(task.main());
    expect([greys[0], greys[4]].map((grey) => Math.round(grey ?? 0))).toEqual([
      expect.closeTo(greyOf(4), -1),
      expect.closeTo(greyOf(10), -1),
    ]);
    expect(task.result).toMatchObject({ approximate: true, approximate_method: "minterpolate", model_used: null });
    expect(task.result["not_honoured"]).toMatchObject([{ param: "output_path" }]);
    const preview = await run("rife_interpolate_images", params);
    expect(preview.result).toMatchObject({ model_used: "preview" });
    expect(preview.result).not.toHaveProperty("approximate");
  });
});

describe("upscaling", () => {
  it("enlarges a video or a picture by the engine's model", async () => {
    const { engine, asked } = copyingEngine(video, ["upscale"]);
    const params = { upscale_factor: 1.5, upscale_model_name: "crisp" };
    await run("upscaling", { video_url: video, ...params }, { engine });
    await run("upscaling", { image_url: picture, ...params }, { engine });
    expect(asked).toMatchObject([
      { model: "crisp", inputs: [video], make: { kind: "video", frames: 12, fps: 16, width: 96, height: 72 } },
      { model: "crisp", inputs: [picture], make: { kind: "picture", count: 1, width: 96, height: 72 } },
    ]);
  });

  it("scales by ffmpeg only where the task allows it, and says so", async () => {
    const params = { upscale_factor: 2, allow_approximate: true };
    const larger = { width: 128, height: 96 };
    const task = await run("upscaling", { video_url: video, upscale_model_name: "crisp", ...params });
    expect(await measureVideo(ffmpeg, task.main())).toMatchObject({ ...larger, frames: 12, fps: 16 });
    expect(await frameNumbers(task.main(), larger)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(task.result).toMatchObject({ approximate: true, approximate_method: "bicubic", model_used: null });
    expect(task.result["not_honoured"]).toMatchObject([{ param: "upscale_model_name" }]);
    const still = await run("upscaling", { image_url: picture, ...params });
    expect(await measureVideo(ffmpeg, still.main())).toMatchObject({ ...larger, codec: "png" });
    const { result } = await run("upscaling", { video_url: video });
    expect(result).toMatchObject({ model_used: "preview", ...larger });
  });

  it("calms a video's flicker and puts frames between its frames, by the engine's model or by ffmpeg", async () => {
    const params = { video_url: video, upscale_factor: 1, temporal_upsampling: "rife2" };
    const twice = { frames: 23, fps: 32, ...SMALL };
    const preview = await run("upscaling", params);
    expect(await measureVideo(ffmpeg, preview.main())).toMatchObject(twice);
    expect(preview.result).toMatchObject({ model_used: "preview" });
    const more = { ...params, smoothing: 0.5, upscale_factor: 2, allow_approximate: true };
    const task = await run("upscaling", more);
    expect(await measureVideo(ffmpeg, task.main())).toMatchObject({ ...twice, width: 128, height: 96 });
    expect(task.result).toMatchObject({ approximate_method: "minterpolate, bicubic", analysis: { mismatches: 0 } });
    // Of neighbours that differ by 15: the first becomes 8 + 15 / 8.
    expect((await meanGreys(task.main(), { width: 128, height: 96 }))[0]).toBeCloseTo(greyOf(0) + 15 / 8, -0.5);
    const still = await run("upscaling", { image_url: picture, temporal_upsampling: "rife4", smoothing: 1 });
    const ignored = (still.result["not_honoured"] as { param: string }[]).map(({ param }) => param);
    expect(ignored).toEqual(["smoothing", "temporal_upsampling"]);
  });

  it("refuses sizes that nothing plays", async () => {
    const wide = await numberedClip(folder.path("wide.mp4"), 1, { size: { width: 2_048, height: 16 } });
    const { failure } = await run("upscaling", { video_url: wide, upscale_factor: 8 });
    expect(failure).toMatchObject({ permanent: true });
    expect(failure?.message).toMatch(/^params\.upscale_factor: 8 makes 2048x16 larger than 8192 px/);
  });
});

describe("generate_openpose and generate_depth", () => {
  it.each([
    ["generate_openpose", "pose"],
    ["generate_depth", "depth"],
  ])("%s asks the engine for the %s of a picture, in its size", async (taskType, job) => {
    const { engine, asked } = copyingEngine(picture, [job]);
    await run(taskType, { input_image_path: picture }, { engine });
    const make = { kind: "picture", count: 1, ...SMALL };
    expect(asked).toMatchObject([{ job, inputs: [picture], make }]);
    const made = { taskId: "t1", status: "Complete", outputLocation: picture, resultData: null };
    const task = await run(taskType, { input_image_task_id: "t1" }, { outputs: { t1: made } });
    expect(await measureVideo(ffmpeg, task.main())).toMatchObject({ codec: "png", ...SMALL });
    expect(task.result).toMatchObject({ engine: "preview", model_used: "preview" });
  });

  it("are not done by a worker whose engine cannot, and neither are the types of the other models", () => {
    const { engine } = copyingEngine(picture, ["upscale"]);
    const { types } = createRouter(engine);
    expect(types).toContain("upscaling");
    expect(types).toContain("extract_frame");
    for (const name of ["generate_openpose", "generate_depth", "rife_interpolate_images"]) {
      expect(types).not.toContain(name);
    }
  });
});

describe("create_visualization", () => {
  const made = () => ({
    output_video_path: video,
    structure_video_path: video,
    guidance_video_path: video,
    input_image_paths: [picture, picture, picture],
    segment_frames: [8, 8],
    frame_overlaps: 4,
  });

  it("has the size of its layout, with the guide if it shall be shown", async () => {
    const task = await run("create_visualization", { ...made(), layout: "grid", show_guidance: true });
    const { size } = layOut("grid", 3, SMALL);
    expect(await measureVideo(ffmpeg, task.main())).toMatchObject({ ...size, frames: 12, fps: 16 });
  });

  it.each(["side_by_side", "triple", "grid", "vertical"] as const)("lays %s out without gaps or overlaps", (layout) => {
    for (const panels of [2, 3] as const) {
      const laidOut = layOut(layout, panels, { width: 832, height: 480 });
      const areas = [...laidOut.panels, laidOut.timeline];
      expect(laidOut.panels).toHaveLength(panels);
      const { width, height } = laidOut.size;
      for (const [index, area] of areas.entries()) {
        expect(area.x + area.width).toBeLessThanOrEqual(width);
        expect(area.y + area.height).toBeLessThanOrEqual(height);
        const others = areas.slice(index + 1);
        expect(others.some((other) => overlap(area, other))).toBe(false);
      }
    }
  });

  it("shows the same moment in every panel, and how far the result is", async () => {
    const guide = await numberedClip(folder.path("guide.mp4"), 6);
    const task = await run("create_visualization", { ...made(), structure_video_path: guide, fps: 8 });
    const { width, height, frames, fps } = await measureVideo(ffmpeg, task.main());
    expect([frames, fps]).toEqual([6, 8]);
    const seen = await rawFrames(task.main(), "rgb24", { width, height });
    const numberAt = (frame: Buffer, x: number) => Math.round(((frame[(200 * width + x) * 3] ?? 0) - 8) / 15);
    expect(seen.map((frame) => numberAt(frame, 100))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(seen.map((frame) => numberAt(frame, width - 100))).toEqual([1, 3, 5, 7, 9, 11]);
    const barAt = (frame: Buffer, share: number) => frame[((height - 4) * width + Math.round(share * width)) * 3] ?? 0;
    expect(seen.map((frame) => barAt(frame, 0.6) > 150)).toEqual([false, false, false, true, true, true]);
  });

  it("names what does not fit", async () => {
    const { failure } = await run("create_visualization", { ...made(), frame_overlaps: [9] });
    expect(failure).toMatchObject({ permanent: true });
    expect(failure?.message).toBe("params.frame_overlaps: the overlap before part 1 is 9 frames: expected 0 to 8");
  });
});
