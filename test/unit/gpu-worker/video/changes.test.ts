import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addBanner } from "../../../../src/gpu-worker/video/banner.ts";
import { writeChosenFrames } from "../../../../src/gpu-worker/video/chosen-frames.ts";
import { cutVideo } from "../../../../src/gpu-worker/video/cut.ts";
import { interpolatePictures, interpolateVideo, smoothVideo } from "../../../../src/gpu-worker/video/interpolate.ts";
import { measureVideo } from "../../../../src/gpu-worker/video/measure.ts";
import { extractFrame, fitPicture } from "../../../../src/gpu-worker/video/pictures.ts";
import { changeFps, fitVideo } from "../../../../src/gpu-worker/video/retime.ts";
import { reverseVideo } from "../../../../src/gpu-worker/video/reverse.ts";
import {
  frameNumbers,
  greyClip,
  greyOf,
  meanGreys,
  numberedClip,
  openFolder,
  rawFrames,
  SMALL,
  testFfmpeg,
} from "../../../kit/video/clips.ts";

const ffmpeg = testFfmpeg();
let folder: Awaited<ReturnType<typeof openFolder>>;
let video: string;
let target: string;

beforeAll(async () => {
  folder = await openFolder();
  video = await numberedClip(folder.path("video.mp4"), 12);
  target = folder.path("target.mp4");
});
afterAll(() => folder.remove());

describe("choosing frames", () => {
  it("extracts any frame, from either end, and says which", async () => {
    const picture = folder.path("frame.png");
    for (const [index, taken] of [
      [0, 0],
      [7, 7],
      [11, 11],
      [-1, 11],
      [-12, 0],
    ] as const) {
      expect(await extractFrame(ffmpeg, video, index, picture)).toBe(taken);
      expect(await frameNumbers(picture)).toEqual([taken]);
    }
    await expect(extractFrame(ffmpeg, video, 12, picture)).rejects.toThrow(
      "has no frame 12: it has 12 frames, 0 to 11",
    );
    await expect(extractFrame(ffmpeg, video, -13, picture)).rejects.toThrow("has no frame -13");
  });

  it("cuts exact ranges", async () => {
    expect(await cutVideo(ffmpeg, video, { start: 3, end: 8 }, target)).toBe(5);
    expect(await frameNumbers(target)).toEqual([3, 4, 5, 6, 7]);
    await expect(cutVideo(ffmpeg, video, { start: 3, end: 13 }, target)).rejects.toThrow("which has 12 frames");
    await expect(cutVideo(ffmpeg, video, { start: 3, end: 3 }, target)).rejects.toThrow("frames 3 to 3 are not in");
  });

  it("changes the rate and keeps the duration", async () => {
    expect(await changeFps(ffmpeg, video, 8, target)).toBe(6);
    expect(await frameNumbers(target)).toEqual([1, 3, 5, 7, 9, 11]);
    expect(await measureVideo(ffmpeg, target)).toMatchObject({ fps: 8, durationSec: 0.75 });
    expect(await changeFps(ffmpeg, video, 30_000 / 1_001, target)).toBe(22);
    expect(await measureVideo(ffmpeg, target)).toMatchObject({ frames: 22, fps: 30_000 / 1_001 });
  });

  it("writes chosen frames, also again and in another order", async () => {
    const frames = [0, 2, 5, 5, 8, 11, 3, 4];
    expect(await writeChosenFrames(ffmpeg, { video, frames, size: SMALL, fps: 10 }, target)).toBe(8);
    expect(await frameNumbers(target)).toEqual(frames);
  });

  it("turns a video round, also in chunks, and removes them", async () => {
    const turned = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
    expect(await reverseVideo(ffmpeg, video, target)).toBe(12);
    expect(await frameNumbers(target)).toEqual(turned);
    expect(await reverseVideo(ffmpeg, video, target, 20_000)).toBe(12);
    expect(await frameNumbers(target)).toEqual(turned);
    expect((await readdir(folder.folder)).filter((name) => name.includes("reverse"))).toEqual([]);
  });
});

describe("changing the shape", () => {
  it("stretches, crops or pads to a size", async () => {
    const wide = { width: 96, height: 48 };
    for (const fit of ["stretch", "crop", "pad"] as const) {
      expect(await fitVideo(ffmpeg, video, wide, fit, target)).toBe(12);
      expect(await measureVideo(ffmpeg, target)).toMatchObject({ ...wide, frames: 12, fps: 16 });
    }
    const [frame] = await rawFrames(target, "yuv420p", wide);
    // The padded video is 64 px wide in the middle of 96.
    expect([frame?.[48 * 20 * 2], frame?.[96 * 24 + 48]]).toEqual([
      16,
      expect.closeTo(16 + (greyOf(0) * 219) / 255, -1),
    ]);
  });

  it("reads a video with odd sides, and makes them even", async () => {
    const picture = folder.path("odd.png");
    await fitPicture(ffmpeg, video, { width: 31, height: 17 }, "crop", picture);
    expect(await measureVideo(ffmpeg, picture)).toMatchObject({ width: 31, height: 17, frames: 1 });
    await cutVideo(ffmpeg, picture, { start: 0, end: 1 }, target);
    expect(await measureVideo(ffmpeg, target)).toMatchObject({ width: 30, height: 16, frames: 1 });
  });

  it("takes a video that is stored on its side as it is shown", async () => {
    const turned = folder.path("turned.mp4");
    await ffmpeg.run(["-i", video, "-c", "copy", "-metadata:s:v:0", "rotate=90", turned]);
    expect(await measureVideo(ffmpeg, turned)).toMatchObject({ width: 48, height: 64, frames: 12 });
    await cutVideo(ffmpeg, turned, { start: 0, end: 2 }, target);
    expect(await measureVideo(ffmpeg, target)).toMatchObject({ width: 48, height: 64, frames: 2 });
  });

  it("puts two pictures above a video", async () => {
    const [start, end] = [folder.path("start.png"), folder.path("end.png")];
    await extractFrame(ffmpeg, video, 2, start);
    await extractFrame(ffmpeg, video, 9, end);
    expect(await addBanner(ffmpeg, video, { start, end }, target)).toBe(12);
    const size = { width: 64, height: 96 };
    const frames = await rawFrames(target, "rgb24", size);
    expect(frames).toHaveLength(12);
    for (const [index, frame] of frames.entries()) {
      const at = (x: number, y: number) => Math.round(((frame[(y * 64 + x) * 3] ?? 0) - 8) / 15);
      expect([at(10, 20), at(50, 20), at(30, 70)]).toEqual([2, 9, index]);
    }
  });
});

describe("estimating frames", () => {
  it("leads from one picture to another in exactly the frames that are asked for", async () => {
    const [first, last] = [folder.path("first.png"), folder.path("last.png")];
    await extractFrame(ffmpeg, video, 2, first);
    await extractFrame(ffmpeg, video, 10, last);
    for (const frames of [2, 3, 9]) {
      const wanted = { frames, fps: 24, size: SMALL };
      expect(await interpolatePictures(ffmpeg, { first, last }, wanted, target)).toBe(frames);
      const greys = await meanGreys(target);
      expect(greys).toHaveLength(frames);
      expect([greys[0], greys.at(-1)].map((grey) => Math.round(((grey ?? 0) - 8) / 15))).toEqual([2, 10]);
      expect(greys.map(Math.round)).toEqual(greys.map(Math.round).toSorted((a, b) => a - b));
    }
    const wanted = { frames: 1, fps: 24, size: SMALL };
    await expect(interpolatePictures(ffmpeg, { first, last }, wanted, target)).rejects.toThrow("1 frames cannot lead");
  });

  it("raises a video's rate and keeps the frames that it had", async () => {
    const calm = await greyClip(folder.path("calm.mp4"), [40, 44, 48, 52, 56, 60]);
    for (const factor of [1, 2, 4]) {
      const frames = 5 * factor + 1;
      expect(await interpolateVideo(ffmpeg, calm, factor, target)).toBe(frames);
      expect(await measureVideo(ffmpeg, target)).toMatchObject({ frames, fps: 16 * factor });
      const greys = await meanGreys(target);
      expect(Math.max(...greys.map((grey, at) => Math.abs(grey - (40 + (4 * at) / factor))))).toBeLessThan(2.5);
    }
    await expect(interpolateVideo(ffmpeg, calm, 1.5, target)).rejects.toThrow("expected a whole number");
  });

  it("calms flicker and leaves what is calm", async () => {
    const flickering = await greyClip(folder.path("flickering.mp4"), [100, 120, 100, 120, 100, 120]);
    expect(await smoothVideo(ffmpeg, flickering, 1, target)).toBe(6);
    const inner = (await meanGreys(target)).slice(1, -1);
    expect(Math.max(...inner.map((grey) => Math.abs(grey - 110)))).toBeLessThan(2);
    expect(await smoothVideo(ffmpeg, flickering, 0, target)).toBe(6);
    expect((await meanGreys(target)).every((grey, at) => Math.abs(grey - (at % 2 ? 120 : 100)) < 2)).toBe(true);
  });
});
