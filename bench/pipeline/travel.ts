import { join } from "node:path";
import { encodeArgs } from "../../src/gpu-worker/video/encoding.ts";
import type { Ffmpeg } from "../../src/gpu-worker/video/ffmpeg.ts";
import { writeGuideVideo } from "../../src/gpu-worker/video/guide-video.ts";
import { writeMaskVideo } from "../../src/gpu-worker/video/mask-video.ts";
import { probeVideo } from "../../src/gpu-worker/video/probe-video.ts";
import { extractFrame } from "../../src/gpu-worker/video/pictures.ts";
import { stitchVideos } from "../../src/gpu-worker/video/stitch.ts";
import { makeThumbnail } from "../../src/gpu-worker/video/thumbnail.ts";

export const SIZE = { width: 832, height: 480 };
export const FPS = 16;
export const FRAMES = 81;
export const SEGMENTS = 5;
export const OVERLAP = 10;

/** Five segments as an engine makes them, and the pictures between them. */
export interface Given {
  readonly segments: readonly string[];
  readonly pictures: readonly string[];
}

export async function prepare(ffmpeg: Ffmpeg, folder: string): Promise<Given> {
  const [segments, pictures]: [string[], string[]] = [[], []];
  for (let index = 0; index < SEGMENTS; index += 1) {
    const drawing = `testsrc2=s=${SIZE.width}x${SIZE.height}:r=${FPS},hue=h=${index * 70},format=yuv420p`;
    const segment = join(folder, `segment${index}.mp4`);
    const picture = join(folder, `picture${index}.png`);
    await ffmpeg.run(["-f", "lavfi", "-i", drawing, "-frames:v", String(FRAMES), ...encodeArgs(FPS), segment]);
    await extractFrame(ffmpeg, segment, -1, picture);
    segments.push(segment);
    pictures.push(picture);
  }
  return { segments, pictures };
}

/** All that the worker does with videos around the engine: guide and mask before each segment, figures and thumbnail after it. */
export async function aroundSegments(ffmpeg: Ffmpeg, { segments, pictures }: Given, folder: string): Promise<void> {
  for (const [index, segment] of segments.entries()) {
    const previous = segments[index - 1];
    const kept = previous === undefined ? 1 : OVERLAP;
    const start =
      previous === undefined
        ? { path: pictures[0] ?? "", at: 0 }
        : { path: previous, at: 0, frames: OVERLAP, from: -OVERLAP };
    const layers = [start, { path: pictures[index] ?? "", at: FRAMES - 1 }];
    const video = { size: SIZE, fps: FPS, frames: FRAMES };
    await writeGuideVideo(ffmpeg, { ...video, target: join(folder, `guide${index}.mp4`), layers });
    const ranges = [
      { start: 0, end: kept },
      { start: FRAMES - 1, end: FRAMES },
    ];
    await writeMaskVideo(ffmpeg, { ...video, target: join(folder, `mask${index}.mp4`), kept: ranges });
    await probeVideo(segment, ffmpeg.path);
    await makeThumbnail(ffmpeg, segment, join(folder, `thumbnail${index}.jpg`));
  }
}

/** Joins the segments, as the last step of a travel does. */
export async function stitch(ffmpeg: Ffmpeg, { segments }: Given, folder: string): Promise<void> {
  const target = join(folder, "stitched.mp4");
  const parts = segments.map((path) => ({ path }));
  const overlaps = segments.slice(1).map(() => OVERLAP);
  const frames = await stitchVideos(ffmpeg, parts, overlaps, { target, fps: FPS, audio: "keep" });
  const facts = await probeVideo(target, ffmpeg.path);
  const expected = SEGMENTS * FRAMES - (SEGMENTS - 1) * OVERLAP;
  if (frames !== expected || facts.frames !== expected) {
    throw new Error(`the stitched video has ${facts.frames} frames: expected ${expected}`);
  }
  await makeThumbnail(ffmpeg, target, join(folder, "stitched.jpg"));
}
