import type { Ffmpeg } from "./ffmpeg.ts";
import type { Size } from "./frames/format.ts";
import { framesOf } from "./read-frames.ts";
import { pickFrames } from "./retime.ts";
import { encodeFrames } from "./write-video.ts";

const FORMAT = "yuv420p";

interface Chosen {
  readonly video: string;
  /** Numbers of its frames, from 0. Where they fall, the video is read again. */
  readonly frames: readonly number[];
  readonly size: Size;
  readonly fps: number;
  /** ffmpeg filters that run before the size is changed. */
  readonly filters?: readonly string[];
}

/** Writes chosen frames of a video, cropped to a size, for a model or the next step. @returns how many they are. */
export async function writeChosenFrames(ffmpeg: Ffmpeg, chosen: Chosen, target: string): Promise<number> {
  const { size, fps } = chosen;
  return await encodeFrames(
    ffmpeg,
    target,
    { size, format: FORMAT, fps, care: "helper" },
    chosenFrames(ffmpeg, chosen),
  );
}

async function* chosenFrames(ffmpeg: Ffmpeg, { video, frames, size, filters = [] }: Chosen) {
  for (const run of risingRuns(frames)) {
    yield* pickFrames(framesOf(ffmpeg, video, { size, format: FORMAT, fit: "crop", filters }), run);
  }
}

function risingRuns(frames: readonly number[]): number[][] {
  const runs: number[][] = [];
  for (const frame of frames) {
    const run = runs.at(-1);
    if (run === undefined || (run.at(-1) ?? 0) > frame) {
      runs.push([frame]);
    } else {
      run.push(frame);
    }
  }
  return runs;
}
