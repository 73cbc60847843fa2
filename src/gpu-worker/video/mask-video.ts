import type { Ffmpeg } from "./ffmpeg.ts";
import { type FrameRange, FramesError } from "./frames/arithmetic.ts";
import { type Size, greyFrame } from "./frames/format.ts";
import { encodeFrames } from "./write-video.ts";

export interface MaskVideo {
  readonly target: string;
  readonly size: Size;
  readonly fps: number;
  readonly frames: number;
  /** Black: these frames of the guide are kept. All others are white: they are generated. */
  readonly kept: readonly FrameRange[];
}

/**
 * Writes the mask beside a guide video: black = keep, white = generate. It has exactly `frames` frames.
 * @throws FramesError when a kept range reaches beyond the video.
 */
export async function writeMaskVideo(ffmpeg: Ffmpeg, mask: MaskVideo): Promise<void> {
  const { target, size, fps, frames, kept } = mask;
  const beyond = kept.find(({ start, end }) => start < 0 || end > frames || start > end);
  if (beyond !== undefined) {
    throw new FramesError(`a mask of ${frames} frames cannot keep frames ${beyond.start} to ${beyond.end}`);
  }
  await encodeFrames(ffmpeg, target, { size, format: "yuv420p", fps, care: "helper" }, maskFrames(mask));
}

async function* maskFrames({ size, frames, kept }: MaskVideo) {
  const [black, white] = [greyFrame("yuv420p", size, 0), greyFrame("yuv420p", size, 255)];
  for (let at = 0; at < frames; at += 1) {
    yield kept.some(({ start, end }) => start <= at && at < end) ? black : white;
  }
}
