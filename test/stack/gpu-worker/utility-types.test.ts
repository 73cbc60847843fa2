import { rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";
import { temporaryFolder } from "../../kit/gpu-worker/fake-task.ts";
import { type LiveWorker, startLiveWorker } from "../../kit/gpu-worker/live-worker.ts";
import { makeSample } from "../../kit/gpu-worker/samples.ts";
import { PATIENCE_MS } from "../../kit/patience.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

let folder: string;
let picture: string;
let video: string;
let api: QueueApi;
let worker: LiveWorker;

beforeAll(async () => {
  folder = await temporaryFolder();
  picture = await makeSample(folder, "picture.png");
  video = await makeSample(folder, "video.mp4", { frames: 6 });
  api = await openQueueApi();
});
afterAll(async () => {
  await worker?.crash();
  await api?.close();
  await rm(folder, { recursive: true, force: true });
});

interface Case {
  readonly taskType: string;
  readonly params: () => object;
  readonly facts: object;
  readonly result: object;
}

const SMALL = { width: 64, height: 48 };
const LARGE = { width: 128, height: 96 };
const MARKED = { engine: "preview", model_used: "preview" };
const CASES: readonly Case[] = [
  {
    taskType: "extract_frame",
    params: () => ({ video_url: video, frame_index: -1 }),
    facts: { codec: "png", ...SMALL },
    result: { frame_index: 5, model_used: null },
  },
  {
    taskType: "create_visualization",
    params: () => ({
      output_video_path: video,
      structure_video_path: video,
      input_image_paths: [picture, picture],
      segment_frames: [6],
      layout: "vertical",
    }),
    facts: { codec: "h264", frames: 6, fps: 16, height: 900 },
    result: { frames: 6, model_used: null },
  },
  {
    taskType: "generate_openpose",
    params: () => ({ image: picture }),
    facts: { codec: "png", ...SMALL },
    result: MARKED,
  },
  { taskType: "generate_depth", params: () => ({ image: picture }), facts: { codec: "png", ...SMALL }, result: MARKED },
  {
    taskType: "rife_interpolate_images",
    params: () => ({ ...pair(), allow_approximate: true }),
    facts: { codec: "h264", frames: 4, fps: 16, ...SMALL },
    result: { approximate: true, approximate_method: "minterpolate", model_used: null },
  },
  { taskType: "rife_interpolate_images", params: pair, facts: { frames: 4, ...SMALL }, result: MARKED },
  {
    taskType: "upscaling",
    params: () => ({ video_url: video, allow_approximate: true }),
    facts: { codec: "h264", frames: 6, fps: 16, ...LARGE },
    result: { approximate: true, approximate_method: "bicubic", model_used: null },
  },
  { taskType: "upscaling", params: () => ({ image_url: picture }), facts: { codec: "png", ...LARGE }, result: MARKED },
];

function pair() {
  return { input_image_path1: picture, input_image_path2: picture, frames: 4, resolution: "64x48" };
}

describe("the utility types on the embedded stack", () => {
  it("are all tried here", () => {
    const names = TASK_TYPES.filter(({ kind, name }) => kind === "utility" || name === "upscaling").map(
      ({ name }) => name,
    );
    expect(names.filter((name) => !CASES.some(({ taskType }) => taskType === name))).toEqual([]);
  });

  it("are claimed, done, uploaded and completed, and say what did them", async () => {
    const { queue } = api;
    const pool = await queue.newPool();
    const ids: string[] = [];
    for (const { taskType, params } of CASES) {
      ids.push(await queue.addTask(pool, { task_type: taskType, params: JSON.stringify(params()) }));
    }
    worker = await startLiveWorker(api, { worker: await queue.newWorker(pool) });
    const open = "select id from tasks where pool = $1 and status in ('Queued', 'In Progress')";
    await expect.poll(() => queue.rows(open, [pool]), { interval: 50, timeout: PATIENCE_MS }).toEqual([]);
    const ffmpegPath = await findFfmpeg(null);
    for (const [index, { taskType, facts, result }] of CASES.entries()) {
      const [row] = await queue.rows<Row>(
        "select output_location, result_data, error_message from tasks where id = $1",
        [ids[index]],
      );
      expect({ taskType, error: row?.error_message }).toEqual({ taskType, error: null });
      expect(row?.result_data).toMatchObject(result);
      expect(await probeVideo(await download(row?.output_location ?? ""), ffmpegPath)).toMatchObject(facts);
    }
  });

  interface Row {
    readonly output_location: string;
    readonly result_data: object;
    readonly error_message: string | null;
  }

  async function download(url: string): Promise<string> {
    const answer = await fetch(url);
    expect({ url, status: answer.status }).toEqual({ url, status: 200 });
    const path = join(folder, basename(url));
    await writeFile(path, Buffer.from(await answer.arrayBuffer()));
    return path;
  }
});
