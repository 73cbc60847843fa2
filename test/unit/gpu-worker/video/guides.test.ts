import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeGuideVideo } from "../../../../src/gpu-worker/video/guide-video.ts";
import { writeMaskVideo } from "../../../../src/gpu-worker/video/mask-video.ts";
import { measureVideo } from "../../../../src/gpu-worker/video/measure.ts";
import { extractFrame } from "../../../../src/gpu-worker/video/pictures.ts";
import {
  greyClip,
  greyOf,
  meanColours,
  meanGreys,
  numberedClip,
  openFolder,
  SMALL,
  testFfmpeg,
} from "../../../kit/video/clips.ts";

const ffmpeg = testFfmpeg();
let folder: Awaited<ReturnType<typeof openFolder>>;

beforeEach(async () => {
  folder = await openFolder();
});
afterEach(() => folder.remove());

/** How far the greys are off at most; never a number for another count of frames. */
function worst(seen: readonly number[], expected: readonly number[]): number {
  return seen.length === expected.length
    ? Math.max(...seen.map((grey, frame) => Math.abs(grey - (expected[frame] ?? Number.NaN))))
    : Number.NaN;
}

describe("a guide video", () => {
  it("shows the overlap first, the anchors where they belong, and grey 128 everywhere else", async () => {
    const previous = await numberedClip(folder.path("previous.mp4"), 8);
    const anchor = folder.path("anchor.png");
    await extractFrame(ffmpeg, await greyClip(folder.path("white.mp4"), [250]), 0, anchor);
    const target = folder.path("guide.mp4");
    const layers = [
      { path: previous, at: 0, frames: 3, from: -3 },
      { path: anchor, at: 9 },
    ];
    await writeGuideVideo(ffmpeg, { target, size: SMALL, fps: 16, frames: 10, layers });
    expect(await measureVideo(ffmpeg, target)).toMatchObject({ frames: 10, fps: 16, ...SMALL });
    expect(
      worst(await meanGreys(target), [greyOf(5), greyOf(6), greyOf(7), 128, 128, 128, 128, 128, 128, 250]),
    ).toBeLessThan(2.5);
  });

  it("mixes a layer with what is below, by one strength or one for each frame", async () => {
    const picture = await greyClip(folder.path("white.mp4"), [228]);
    const target = folder.path("guide.mp4");
    const layers = [
      { path: picture, at: 0, frames: 2, strength: 0.5 },
      { path: picture, at: 2, frames: 3, strength: [1, 0.4, 0] },
    ];
    await writeGuideVideo(ffmpeg, { target, size: SMALL, fps: 16, frames: 5, layers });
    expect(worst(await meanGreys(target), [178, 178, 228, 168, 128])).toBeLessThan(2.5);
  });

  it("changes the brightness and the colours of a layer", async () => {
    const picture = await greyClip(folder.path("grey.mp4"), [100]);
    const target = folder.path("guide.mp4");
    const layers = [
      { path: picture, at: 0, brightness: 0.5, desaturate: 1 },
      { path: picture, at: 1, brightness: -0.5 },
    ];
    await writeGuideVideo(ffmpeg, { target, size: SMALL, fps: 16, frames: 2, layers });
    expect(worst(await meanGreys(target), [150, 50])).toBeLessThan(2.5);
  });

  it("refuses layers that reach beyond the guide or their video, and names them", async () => {
    const path = await numberedClip(folder.path("previous.mp4"), 8);
    const write = (layer: object) =>
      writeGuideVideo(ffmpeg, {
        target: folder.path("guide.mp4"),
        size: SMALL,
        fps: 16,
        frames: 10,
        layers: [{ path, at: 0, ...layer }],
      });
    await expect(write({ at: 8, frames: 3 })).rejects.toThrow("cannot lie on frames 8 to 11 of a guide of 10 frames");
    await expect(write({ frames: 9 })).rejects.toThrow("previous.mp4 has 8 frames: frames 0 to 9 are not in it");
  });
});

describe("a mask video", () => {
  it("is black where frames are kept and white where they are generated", async () => {
    const target = folder.path("mask.mp4");
    const kept = [
      { start: 0, end: 2 },
      { start: 6, end: 7 },
    ];
    await writeMaskVideo(ffmpeg, { target, size: SMALL, fps: 16, frames: 7, kept });
    expect(await measureVideo(ffmpeg, target)).toMatchObject({ frames: 7, fps: 16, ...SMALL });
    expect(await meanColours(target)).toEqual([0, 0, 255, 255, 255, 255, 0].map((grey) => [grey, grey, grey]));
  });

  it("refuses to keep frames that it does not have", async () => {
    const mask = { target: folder.path("mask.mp4"), size: SMALL, fps: 16, frames: 4, kept: [{ start: 3, end: 5 }] };
    await expect(writeMaskVideo(ffmpeg, mask)).rejects.toThrow("a mask of 4 frames cannot keep frames 3 to 5");
  });
});
