import type { Ffmpeg } from "./ffmpeg.ts";
import type { Fit } from "./fit.ts";
import { resampledFrames } from "./frames/arithmetic.ts";
import type { Size } from "./frames/format.ts";
import { measureVideo } from "./measure.ts";
import { rewriteVideo } from "./rewrite.ts";

/**
 * Writes a video at another rate by leaving out or repeating frames; its duration stays. round(frames × fps / its fps) frames.
 * @returns the number of frames.
 */
export async function changeFps(ffmpeg: Ffmpeg, video: string, fps: number, target: string): Promise<number> {
  const facts = await measureVideo(ffmpeg, video);
  const chosen = resampledFrames(facts.frames, facts.fps, fps);
  return await rewriteVideo(ffmpeg, { video, facts, target, fps }, (frames) => pickFrames(frames, chosen));
}

/** Writes a video in another size; `crop` keeps the aspect. Frames, rate and sound stay. @returns the number of frames. */
export async function fitVideo(ffmpeg: Ffmpeg, video: string, size: Size, fit: Fit, target: string): Promise<number> {
  return await rewriteVideo(ffmpeg, { video, facts: await measureVideo(ffmpeg, video), target, size, fit });
}

/** The frames of the given numbers, which rise or stay. */
export async function* pickFrames(frames: AsyncIterable<Buffer>, chosen: readonly number[]): AsyncGenerator<Buffer> {
  let next = 0;
  let at = 0;
  for await (const frame of frames) {
    for (; chosen[next] === at; next += 1) {
      yield frame;
    }
    if (next === chosen.length) {
      return;
    }
    at += 1;
  }
}
