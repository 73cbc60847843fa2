import { readFile, readdir } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { measureVideo } from "../../src/gpu-worker/video/measure.ts";
import { reverseVideo } from "../../src/gpu-worker/video/reverse.ts";
import { stitchVideos } from "../../src/gpu-worker/video/stitch.ts";
import { openFolder, testFfmpeg } from "../kit/video/clips.ts";

const LIMIT_MB = 500;
const ffmpeg = testFfmpeg();
let folder: Awaited<ReturnType<typeof openFolder>>;

beforeEach(async () => {
  folder = await openFolder();
});
afterEach(() => folder.remove());

async function longClip(frames: number): Promise<string> {
  const path = folder.path(`${frames}.mp4`);
  const picture = "testsrc2=s=1920x1080:r=24,format=yuv420p";
  const coded = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "30"];
  await ffmpeg.run(["-f", "lavfi", "-i", picture, "-frames:v", String(frames), ...coded, path]);
  return path;
}

/** What this process and its ffmpegs hold at most in physical memory while the work lasts, in MB. */
async function peakMb(work: () => Promise<unknown>): Promise<number> {
  let peak = 0;
  let ended = false;
  const before = process.memoryUsage.rss() / 1e6;
  const watching = (async () => {
    while (!ended) {
      const children = await Promise.all((await childrenOf(process.pid)).map(residentMb));
      // The test runner's own memory is not the stitch's.
      const own = process.memoryUsage.rss() / 1e6 - before;
      peak = Math.max(peak, own + children.reduce((total, each) => total + each, 0));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  try {
    await work();
  } finally {
    ended = true;
    await watching;
  }
  return peak;
}

async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const lists = tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, "utf8").catch(() => ""));
  return (await Promise.all(lists)).flatMap((list) => list.trim().split(" ").filter(Boolean).map(Number));
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1e3;
}

describe("videos of 3,000 frames at 1920×1080", () => {
  it(`are stitched in less than ${LIMIT_MB} MB, exactly to the frame`, async () => {
    const part = await longClip(1_050);
    const target = folder.path("stitched.mp4");
    const parts = [{ path: part }, { path: part }, { path: part }];
    let frames = 0;
    const peak = await peakMb(async () => {
      frames = await stitchVideos(ffmpeg, parts, [80, 70], { target, fps: 24 });
    });
    expect(frames).toBe(3_000);
    expect((await measureVideo(ffmpeg, target)).frames).toBe(3_000);
    process.stderr.write(`stitch of 3,000 frames: at most ${Math.round(peak)} MB\n`);
    expect(peak).toBeLessThan(LIMIT_MB);
  });

  it(`of which 600 are turned round in less than ${LIMIT_MB} MB`, async () => {
    const part = await longClip(600);
    const target = folder.path("reversed.mp4");
    const peak = await peakMb(() => reverseVideo(ffmpeg, part, target));
    expect((await measureVideo(ffmpeg, target)).frames).toBe(600);
    expect(peak).toBeLessThan(LIMIT_MB);
  });
});
