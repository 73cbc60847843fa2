import type { Ffmpeg } from "./ffmpeg.ts";
import { type FrameRange, FramesError } from "./frames/arithmetic.ts";
import { measureVideo } from "./measure.ts";
import { rewriteVideo } from "./rewrite.ts";

/**
 * Writes a range of a video's frames, exactly, with the sound that belongs to them.
 * @returns the number of frames, `range.end - range.start`.
 * @throws FramesError when the video has no such frames.
 */
export async function cutVideo(ffmpeg: Ffmpeg, video: string, range: FrameRange, target: string): Promise<number> {
  const facts = await measureVideo(ffmpeg, video);
  const { start, end } = range;
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || start >= end || end > facts.frames) {
    throw new FramesError(`frames ${start} to ${end} are not in ${video}, which has ${facts.frames} frames`);
  }
  return await rewriteVideo(ffmpeg, { video, facts, target, range });
}
