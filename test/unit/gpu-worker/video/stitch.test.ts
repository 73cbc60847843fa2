import { readdir, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fadeAlpha } from "../../../../src/gpu-worker/video/frames/cross-fade.ts";
import { writeGuideVideo } from "../../../../src/gpu-worker/video/guide-video.ts";
import { measureVideo } from "../../../../src/gpu-worker/video/measure.ts";
import { stitchVideos } from "../../../../src/gpu-worker/video/stitch.ts";
import {
  greyClip,
  meanGreys,
  numberedClip,
  openFolder,
  rawFrames,
  SMALL,
  testFfmpeg,
} from "../../../kit/video/clips.ts";

const ffmpeg = testFfmpeg();
let folder: Awaited<ReturnType<typeof openFolder>>;

beforeEach(async () => {
  folder = await openFolder();
});
afterEach(() => folder.remove());

function ramp(first: number, frames: number, step: number): number[] {
  return Array.from({ length: frames }, (_, frame) => first + frame * step);
}

async function clips(greys: readonly (readonly number[])[]) {
  return await Promise.all(
    greys.map(async (each, index) => ({ path: await greyClip(folder.path(`${index}.mp4`), each) })),
  );
}

describe("stitching", () => {
  it("gives exactly Σ frames − Σ overlaps, cross-faded by the formula", async () => {
    const greys = [ramp(40, 9, 0), ramp(120, 10, 0), ramp(200, 6, 0)];
    const overlaps = [4, 3];
    const target = folder.path("stitched.mp4");
    const parts = await clips(greys);
    expect(await stitchVideos(ffmpeg, parts, overlaps, { target, fps: 16, sharpen: 0.3 })).toBe(18);
    expect(await measureVideo(ffmpeg, target)).toMatchObject({ frames: 18, fps: 16, ...SMALL, pixelFormat: "yuv420p" });

    const faded = (from: number, to: number, count: number) =>
      ramp(0, count, 1).map((index) => from + (to - from) * fadeAlpha(index, count));
    const expected = [
      ...ramp(40, 5, 0),
      ...faded(40, 120, 4),
      ...ramp(120, 3, 0),
      ...faded(120, 200, 3),
      ...ramp(200, 3, 0),
    ];
    for (const [index, grey] of (await meanGreys(target)).entries()) {
      expect(Math.abs(grey - (expected[index] ?? 0)), `frame ${index}`).toBeLessThan(2.5);
    }
  });

  it("has no jump at seams where the parts show the same", async () => {
    // One movement of light, cut into parts that share 6, 2 and 8 frames.
    const whole = ramp(20, 60, 3.5);
    const greys = [whole.slice(0, 20), whole.slice(14, 34), whole.slice(32, 48), whole.slice(40, 60)];
    const target = folder.path("stitched.mp4");
    expect(await stitchVideos(ffmpeg, await clips(greys), [6, 2, 8], { target, fps: 16 })).toBe(60);
    const seen = await meanGreys(target);
    const steps = seen.slice(1).map((grey, index) => grey - (seen[index] ?? 0));
    expect(Math.max(...steps.map((step) => Math.abs(step - 3.5)))).toBeLessThan(2.5);
  });

  it("fades a part that is shorter than both its overlaps together", async () => {
    const parts = await clips([ramp(60, 8, 0), ramp(120, 5, 0), ramp(180, 8, 0)]);
    const target = folder.path("stitched.mp4");
    expect(await stitchVideos(ffmpeg, parts, [4, 3], { target, fps: 16, sharpen: 0 })).toBe(14);
    const seen = await meanGreys(target);
    // At frame 6 the second part has three quarters of its way in, and the third a third of its own.
    const second = 60 + 60 * fadeAlpha(2, 4);
    expect(Math.abs((seen[6] ?? 0) - (second + (180 - second) * fadeAlpha(0, 3)))).toBeLessThan(2.5);
    expect(seen.toSorted((a, b) => a - b).map(Math.round)).toEqual(seen.map(Math.round));
  });

  it("uses the ranges that are asked for", async () => {
    const path = await numberedClip(folder.path("numbered.mp4"), 12);
    const target = folder.path("stitched.mp4");
    const parts = [
      { path, range: { start: 9, end: 12 } },
      { path, range: { start: 2, end: 4 } },
    ];
    expect(await stitchVideos(ffmpeg, parts, [0], { target, fps: 8 })).toBe(5);
    const numbers = (await meanGreys(target)).map((grey) => Math.round((grey - 8) / 15));
    expect(numbers).toEqual([9, 10, 11, 2, 3]);
  });

  it("copies frames outside of the seams without changing them but by encoding", async () => {
    const parts = await clips([ramp(30, 6, 20), ramp(100, 6, 10)]);
    const target = folder.path("stitched.mp4");
    await stitchVideos(ffmpeg, parts, [2], { target, fps: 16 });
    const [before, after] = [await rawFrames(parts[0]?.path ?? "", "yuv420p"), await rawFrames(target, "yuv420p")];
    for (const frame of [0, 1, 2, 3]) {
      const worst = Math.max(...(before[frame] ?? []).map((byte, at) => Math.abs(byte - (after[frame]?.[at] ?? 0))));
      expect(worst, `frame ${frame}`).toBeLessThanOrEqual(2);
    }
  });

  it("names the part that cannot be read, ends early or has other frames, and leaves nothing behind", async () => {
    const [part] = await clips([ramp(30, 6, 0)]);
    const target = folder.path("stitched.mp4");
    const options = { target, fps: 16, size: SMALL };
    const path = part?.path ?? "";
    const broken = folder.path("broken.mp4");
    await writeFile(broken, "no video");
    await expect(stitchVideos(ffmpeg, [{ path }, { path: broken }], [0], options)).rejects.toThrow("broken.mp4");
    await expect(stitchVideos(ffmpeg, [{ path, frames: 9 }], [], options)).rejects.toThrow("0.mp4 ended early");
    const range = { start: 0, end: 7 };
    await expect(stitchVideos(ffmpeg, [{ path, range }], [], options)).rejects.toThrow("frames 0 to 7 are not in");
    await expect(stitchVideos(ffmpeg, [{ path }, { path }], [7], options)).rejects.toThrow("expected 0 to 6");
    expect(await readdir(folder.folder)).toEqual(["0.mp4", "broken.mp4"]);
  });

  it("stops at once when it is aborted, and leaves nothing behind", async () => {
    const [part] = await clips([ramp(30, 16, 0)]);
    const controller = new AbortController();
    const reason = new Error("enough");
    const stitching = stitchVideos(testFfmpeg(controller.signal), [part ?? { path: "" }], [], {
      target: folder.path("stitched.mp4"),
      fps: 16,
      onFrame: () => controller.abort(reason),
    });
    await expect(stitching).rejects.toBe(reason);
    expect(await readdir(folder.folder)).toEqual(["0.mp4"]);
  });
});

describe("a file whose packets and frames differ", () => {
  it("is stitched, and guides, by the frames that it shows", async () => {
    const path = await numberedClip(folder.path("numbered.mp4"), 12);
    // An edit list leaves the first frames out: their packets stay in the file.
    const cut = folder.path("cut.mp4");
    await ffmpeg.run(["-ss", "0.2", "-i", path, "-c", "copy", cut]);
    const { frames } = await measureVideo(ffmpeg, cut);
    const target = folder.path("stitched.mp4");
    expect(await stitchVideos(ffmpeg, [{ path: cut }, { path }], [2], { target, fps: 16 })).toBe(frames + 10);
    expect((await measureVideo(ffmpeg, target)).frames).toBe(frames + 10);
    const layers = [{ path: cut, at: 0, frames: 3, from: -3 }];
    await writeGuideVideo(ffmpeg, { target, size: SMALL, fps: 16, frames: 4, layers });
    const numbers = (await meanGreys(target)).map((grey) => Math.round((grey - 8) / 15));
    expect(numbers.slice(0, 3)).toEqual([9, 10, 11]);
  });
});
