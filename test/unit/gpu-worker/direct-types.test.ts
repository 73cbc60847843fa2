import { readdir, rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { findTaskType, TASK_TYPES } from "../../../src/task-types/task-types.ts";
import { runFakeTask, temporaryFolder } from "../../kit/gpu-worker/fake-task.ts";
import { makeSample } from "../../kit/gpu-worker/samples.ts";

let folder: string;
let ffmpegPath: string;
let picture: string;
let odd: string;
let guide: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  ffmpegPath = await findFfmpeg(null);
  picture = await makeSample(folder, "picture.png");
  odd = await makeSample(folder, "odd.jpg", { width: 51, height: 37 });
  guide = await makeSample(folder, "guide.mp4", { frames: 6 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const TEXT = { prompt: "a cat", seed: 7 };
const VIDEO = { ...TEXT, video_length: 6, resolution: "64x48" };
const PICTURE = { ...TEXT, resolution: "66x50" };

/** What a task of each direct type is given, beside the prompt: functions, because the files are made later. */
const PARAMS: Readonly<Record<string, () => object>> = {
  generate_video: () => VIDEO,
  t2v: () => VIDEO,
  t2v_22: () => VIDEO,
  i2v: () => ({ ...VIDEO, image_url: picture }),
  i2v_22: () => ({ ...VIDEO, image_start: [picture], image_end: odd }),
  vace: () => ({ ...VIDEO, video_guide: guide }),
  vace_21: () => ({ ...VIDEO, video_guide_path: guide, image_refs: [picture, odd] }),
  vace_22: () => ({ ...VIDEO, video_guide: guide, video_mask: guide }),
  hunyuan: () => VIDEO,
  ltxv: () => VIDEO,
  wgp: () => VIDEO,
  flux: () => ({ ...PICTURE, num_images: 3 }),
  wan_2_2_t2i: () => PICTURE,
  single_image: () => PICTURE,
  qwen_image: () => PICTURE,
  qwen_image_2512: () => PICTURE,
  qwen_image_hires: () => PICTURE,
  qwen_image_style: () => ({ ...TEXT, style_reference_image: odd }),
  qwen_image_edit: () => ({ ...TEXT, image: odd }),
  image_inpaint: () => ({ ...TEXT, image_url: odd, mask_url: odd }),
  annotated_image_edit: () => ({ image: odd, mask_url: odd }),
  z_image_turbo: () => PICTURE,
  z_image_turbo_i2i: () => ({ image_url: odd }),
};
/** Frames per second where the task gives none. */
const RATES: Readonly<Record<string, number>> = { hunyuan: 24, ltxv: 30 };
/** Types whose size is that of their picture. */
const SIZE_OF_PICTURE = [
  "qwen_image_style",
  "qwen_image_edit",
  "image_inpaint",
  "annotated_image_edit",
  "z_image_turbo_i2i",
];

const direct = TASK_TYPES.filter(({ kind, name }) => kind === "direct" && name !== "upscaling").map(({ name }) => name);

describe("each direct type, done with previews", () => {
  it.each(direct)("%s makes a file of exactly what was asked for, marked as a preview", async (taskType) => {
    const isVideo = !findTaskType(taskType)!.parameters.some(({ fixed, name }) => fixed === 1 || name === "num_images");
    const task = await runFakeTask(folder, { taskType, params: PARAMS[taskType]!() });
    const path = task.main();
    const size = SIZE_OF_PICTURE.includes(taskType)
      ? { width: 51, height: 37 }
      : isVideo
        ? { width: 64, height: 48 }
        : { width: 66, height: 50 };
    const length = { frames: 6, fps: RATES[taskType] ?? 16 };
    const wanted = isVideo ? { codec: "h264", ...length, ...size } : { codec: "png", frames: 1, ...size };
    expect(await probeVideo(path, ffmpegPath)).toMatchObject(wanted);
    const { taskId } = task.task;
    const ending = isVideo ? "mp4" : "png";
    expect(task.completion).toMatchObject({
      storagePath: `${taskId}/task_${taskId}_a1.${ending}`,
      outputLocation: path,
    });
    expect(task.result).toMatchObject({
      engine: "preview",
      model_used: "preview",
      thumbnail_url: path.replace(`.${ending}`, "_thumb.jpg"),
      ...size,
      ...(isVideo ? { video_url: path, ...length } : { image_url: path }),
    });
    expect(await readdir(task.outputDir)).toEqual([]);
  });

  it("stores every picture that was asked for, and names them all in the result", async () => {
    const { result, stored, task } = await runFakeTask(folder, { taskType: "flux", params: PARAMS["flux"]!() });
    const names = ["", "_2", "_3"].map((ending) => `task_${task.taskId}_a1${ending}.png`);
    expect(result["image_urls"]).toEqual(names.map((name) => stored.get(name)));
    expect([...stored.keys()].toSorted()).toEqual([...names, `task_${task.taskId}_a1_thumb.jpg`].toSorted());
    for (const name of names) {
      expect(await probeVideo(stored.get(name)!, ffmpegPath)).toMatchObject({ codec: "png", width: 66, height: 50 });
    }
  });

  it("makes a picture of a video type of which one frame is asked for", async () => {
    const task = await runFakeTask(folder, { taskType: "wgp", params: { ...PICTURE, frames: 1 } });
    expect(await probeVideo(task.main(), ffmpegPath)).toMatchObject({ codec: "png", width: 66, height: 50 });
    expect(task.result).not.toHaveProperty("duration_seconds");
  });

  it("makes a video of even sides, and says so, where uneven ones are asked for", async () => {
    const task = await runFakeTask(folder, { taskType: "t2v", params: { ...VIDEO, resolution: "65x49" } });
    expect(await probeVideo(task.main(), ffmpegPath)).toMatchObject({ width: 64, height: 48 });
    const reason = "a video has even sides: 64x48 instead of 65x49";
    expect(task.result["not_honoured"]).toEqual([{ param: "resolution", reason }]);
  });

  it("fails for good, naming the field, when a file is not what it should be", async () => {
    const params = { ...VIDEO, image_url: "/no/such/picture.png" };
    const { failure, end } = await runFakeTask(folder, { taskType: "i2v", params });
    expect({ end, permanent: failure?.permanent }).toEqual({ end: "failed", permanent: true });
    expect(failure?.message).toMatch(/^params\.image_start: .*picture\.png/);
  });
});
