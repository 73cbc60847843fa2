import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addSound } from "../../../../src/gpu-worker/video/audio.ts";
import { cutVideo } from "../../../../src/gpu-worker/video/cut.ts";
import { hasSound, measureVideo } from "../../../../src/gpu-worker/video/measure.ts";
import { stitchVideos } from "../../../../src/gpu-worker/video/stitch.ts";
import { loudness } from "../../../kit/video/sound.ts";
import { frameNumbers, numberedClip, openFolder, testFfmpeg } from "../../../kit/video/clips.ts";

const ffmpeg = testFfmpeg();
let folder: Awaited<ReturnType<typeof openFolder>>;

beforeEach(async () => {
  folder = await openFolder();
});
afterEach(() => folder.remove());

/** A clip of 16 frames, one second, with a tone of that long. */
async function soundingClip(name: string, toneSec = 1) {
  const silent = await numberedClip(folder.path(`silent-${name}`), 16);
  const tone = folder.path(`${name}.wav`);
  await ffmpeg.run(["-f", "lavfi", "-i", `sine=frequency=440:sample_rate=48000:duration=${toneSec}`, tone]);
  const path = folder.path(name);
  await addSound(ffmpeg, silent, tone, path);
  return path;
}

describe("sound", () => {
  it("is added to a video, cut at its end or followed by silence, and frames stay as they are", async () => {
    const longer = await soundingClip("longer.mp4", 3);
    expect(await measureVideo(ffmpeg, longer)).toMatchObject({ frames: 16, hasAudio: true });
    expect((await measureVideo(ffmpeg, longer)).durationSec).toBeLessThan(1.2);
    const shorter = await soundingClip("shorter.mp4", 0.5);
    expect(await measureVideo(ffmpeg, shorter)).toMatchObject({ frames: 16, hasAudio: true });
    const [early, late] = [await loudness(shorter, 0.1, 0.4), await loudness(shorter, 0.7, 0.9)];
    expect([early > 0.01, late < 0.001]).toEqual([true, true]);
  });

  it("is kept when frames are cut, for the time that they have", async () => {
    const video = await soundingClip("half.mp4", 0.5);
    const target = folder.path("target.mp4");
    expect(await cutVideo(ffmpeg, video, { start: 4, end: 12 }, target)).toBe(8);
    expect(await frameNumbers(target)).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
    expect(await hasSound(ffmpeg, target)).toBe(true);
    expect(await loudness(target, 0.05, 0.2)).toBeGreaterThan(0.01);
    expect(await loudness(target, 0.3, 0.45)).toBeLessThan(0.001);
  });

  it("of the parts is stitched as their frames are, silent parts included, and only if it shall be", async () => {
    const parts = [
      { path: await soundingClip("first.mp4") },
      { path: await numberedClip(folder.path("second.mp4"), 16) },
      { path: await soundingClip("third.mp4") },
    ];
    const target = folder.path("target.mp4");
    expect(await stitchVideos(ffmpeg, parts, [8, 0], { target, fps: 16, audio: "keep" })).toBe(40);
    const facts = await measureVideo(ffmpeg, target);
    expect(facts).toMatchObject({ frames: 40, hasAudio: true });
    expect(Math.abs(facts.durationSec - 2.5)).toBeLessThan(0.1);
    expect(await loudness(target, 0.1, 0.4)).toBeGreaterThan(0.01);
    expect(await loudness(target, 1.1, 1.4)).toBeLessThan(0.001);
    expect(await loudness(target, 1.7, 2.3)).toBeGreaterThan(0.01);
    await stitchVideos(ffmpeg, parts, [8, 0], { target, fps: 16 });
    expect(await hasSound(ffmpeg, target)).toBe(false);
  });

  it("is played as much faster as the frames are", async () => {
    const parts = [{ path: await soundingClip("video.mp4") }];
    const target = folder.path("target.mp4");
    expect(await stitchVideos(ffmpeg, parts, [], { target, fps: 48, audio: "keep" })).toBe(16);
    expect(await loudness(target, 0.05, 0.25)).toBeGreaterThan(0.01);
    expect((await measureVideo(ffmpeg, target)).durationSec).toBeLessThan(0.4);
  });
});
