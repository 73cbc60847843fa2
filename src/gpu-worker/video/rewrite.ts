import { rm } from "node:fs/promises";
import { addSound } from "./audio.ts";
import type { Ffmpeg } from "./ffmpeg.ts";
import type { Fit } from "./fit.ts";
import type { FrameRange } from "./frames/arithmetic.ts";
import { type PixelFormat, type Size, evenSize } from "./frames/format.ts";
import type { MeasuredVideo } from "./measure.ts";
import { framesOf } from "./read-frames.ts";
import { encodeFrames } from "./write-video.ts";

export interface Rewrite {
  readonly video: string;
  readonly facts: MeasuredVideo;
  readonly target: string;
  readonly format?: PixelFormat;
  /** That of the frames to read; the video's own without it. */
  readonly size?: Size;
  /** That of the frames to write; the same without it. */
  readonly targetSize?: Size;
  readonly fit?: Fit;
  readonly fps?: number;
  readonly range?: FrameRange;
  readonly filters?: readonly string[];
}

/**
 * Writes a video whose frames are made from those of another one, and whose sound is that of the other one.
 * @param change gets the frames, in two buffers by turns, and gives those to write; it may change them in place.
 * @returns the number of frames.
 */
export async function rewriteVideo(
  ffmpeg: Ffmpeg,
  rewrite: Rewrite,
  change: (frames: AsyncIterable<Buffer>) => AsyncIterable<Uint8Array> = (frames) => frames,
): Promise<number> {
  const { video, facts, target, format = "yuv420p", size = evenSize(facts), targetSize = size, ...how } = rewrite;
  const { fps = facts.fps, fit = "stretch", range = { start: 0, end: facts.frames }, filters = [] } = how;
  const frames = framesOf(ffmpeg, video, { size, format, fit, range, filters });
  const write = (path: string) => encodeFrames(ffmpeg, path, { size: targetSize, format, fps }, change(frames));
  if (!facts.hasAudio) {
    return await write(target);
  }
  const silent = `${target}.silent.mp4`;
  try {
    const count = await write(silent);
    await addSound(ffmpeg, silent, video, target, range.start / facts.fps);
    return count;
  } finally {
    await rm(silent, { force: true });
  }
}
