import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poseJson, posesIn } from "../../../../src/gpu-worker/tasks/utility/pose-json.ts";
import { drawPoses } from "../../../../src/gpu-worker/video/frames/draw-pose.ts";
import { measureVideo } from "../../../../src/gpu-worker/video/measure.ts";
import { writePoseVideo } from "../../../../src/gpu-worker/video/pose-video.ts";
import { runFakeGraph } from "../../../kit/gpu-worker/fake-graph.ts";
import { temporaryFolder } from "../../../kit/gpu-worker/fake-task.ts";
import { makeSample, readPixels } from "../../../kit/gpu-worker/samples.ts";
import { SMALL, testFfmpeg } from "../../../kit/video/clips.ts";

const ffmpeg = testFfmpeg();
let folder: string;
let picture: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  picture = await makeSample(folder, "picture.png", { width: 96, height: 64 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A person whose points all lie in one place. */
function dot(x: number, y: number, confidence = 1) {
  return Array.from({ length: 18 }, () => ({ x, y, confidence }));
}

describe("another perspective", () => {
  it.each([
    ["pose", "the poses between both"],
    ["depth", "after interpolate"],
  ])("by %s is a picture of the asked size, and every step of it is measured", async (type, step) => {
    const params = {
      prompt: "from the left",
      input_image_path: picture,
      perspective_type: type,
      output_video_frames: 9,
      resolution: "64x48",
    };
    const { result, results } = await runFakeGraph(folder, { taskType: "different_perspective_orchestrator", params });
    expect(await measureVideo(ffmpeg, result.main())).toMatchObject({ codec: "png", ...SMALL });
    const analysis = result.result["analysis"] as { mismatches: number; steps: { step: string }[] };
    expect(analysis.mismatches).toBe(0);
    expect(analysis.steps.map((each) => each.step)).toEqual(expect.arrayContaining([step, "the guide", "the mask"]));
    const poses = [...results.values()].map((each) => posesIn(each.result)?.map((pose) => pose.length) ?? null);
    expect(poses).toEqual(type === "pose" ? [[18], null, null, [18], null] : [null, null, null, null, null]);
  });
});

describe("drawn poses", () => {
  it("move from one to the other; who is in one of them only comes on the way", async () => {
    const target = join(folder, "movement.mp4");
    const [first, last] = [[dot(0.25, 0.5)], [dot(0.75, 0.5), dot(0.5, 0.1)]];
    expect(await writePoseVideo(ffmpeg, { first, last, frames: 5, fps: 16, size: SMALL }, target)).toBe(5);
    const lit = async (frame: number, x: number, y: number) =>
      (await readPixels(target, SMALL, frame)).at(x, y).some((value) => value > 60);
    expect(await Promise.all([0, 2, 4].map((frame) => lit(frame, 16, 24)))).toEqual([true, false, false]);
    expect(await Promise.all([0, 2, 4].map((frame) => lit(frame, 32, 24)))).toEqual([false, true, false]);
    expect(await Promise.all([0, 2, 4].map((frame) => lit(frame, 48, 24)))).toEqual([false, false, true]);
    expect(await Promise.all([0, 4].map((frame) => lit(frame, 32, 5)))).toEqual([false, true]);
  });

  it("join what is seen by limbs, and stay within the frame", () => {
    const size = { width: 40, height: 40 };
    const frame = Buffer.alloc(40 * 40 * 3);
    const person = dot(-5, 9, 0);
    person[1] = { x: 0.25, y: 0.5, confidence: 1 };
    person[2] = { x: 0.75, y: 0.5, confidence: 1 };
    person[5] = { x: 1.4, y: 0.5, confidence: 0.05 };
    drawPoses(frame, size, [person]);
    const isLit = (x: number, y: number) => frame.subarray((y * 40 + x) * 3, (y * 40 + x) * 3 + 3).some(Boolean);
    expect([isLit(20, 20), isLit(10, 20), isLit(30, 20), isLit(36, 20), isLit(20, 30)]).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    drawPoses(frame, size, [dot(0, 0), dot(1, 1), dot(3, -2)]);
    expect(isLit(0, 0)).toBe(true);
  });

  it("are written as OpenPose writes them, and read again; what is no pose is none", () => {
    const json = poseJson([dot(0.5, 0.25)], { width: 200, height: 100 });
    expect(json.people[0]?.pose_keypoints_2d.slice(0, 3)).toEqual([100, 25, 1]);
    expect(posesIn({ pose: json })).toEqual([dot(0.5, 0.25)]);
    const broken = { ...json, people: [{ pose_keypoints_2d: [1, 2] }] };
    const odd = [null, {}, { pose: null }, { pose: { ...json, people: [] } }, { pose: broken }];
    expect(odd.map(posesIn)).toEqual(odd.map(() => null));
  });
});
