import type { Ffmpeg } from "./ffmpeg.ts";
import { type LabChange, type LabStats, changeLab, labStats } from "./frames/lab.ts";
import { type Size, evenSize } from "./frames/format.ts";
import { measureVideo } from "./measure.ts";
import { readPicture } from "./read-frames.ts";
import { rewriteVideo } from "./rewrite.ts";

/** A reference with little variety must not wash the video out: L keeps a tenth of its spread at least, a and b keep four tenths. */
const LEAST_RATIO = [0.1, 0.4, 0.4] as const;
/** A channel with less spread than this, such as b in a grey picture, has nothing to be stretched. */
const FLAT = 0.02;

/**
 * Brings a video's colours to those of reference pictures, by mean and standard deviation in Lab: the first frame to `start`, the
 * last one to `end`, in between weighted by time. Frames, size, rate and sound stay.
 * @returns the number of frames.
 */
export async function matchColours(
  ffmpeg: Ffmpeg,
  video: string,
  references: { readonly start: string; readonly end: string },
  target: string,
): Promise<number> {
  const facts = await measureVideo(ffmpeg, video);
  const size = evenSize(facts);
  const start = await statsOf(ffmpeg, references.start, size);
  const end = await statsOf(ffmpeg, references.end, size);

  return await rewriteVideo(ffmpeg, { video, facts, format: "rgb24", target }, (frames) => matched(frames));

  async function* matched(frames: AsyncIterable<Buffer>) {
    let at = 0;
    for await (const frame of frames) {
      const share = facts.frames === 1 ? 0 : at / (facts.frames - 1);
      changeLab(frame, changeBetween(labStats(frame), start, end, share));
      yield frame;
      at += 1;
    }
  }
}

async function statsOf(ffmpeg: Ffmpeg, picture: string, size: Size): Promise<LabStats> {
  return labStats(await readPicture(ffmpeg, picture, { size, format: "rgb24" }));
}

/** The change to `start`'s colours and that to `end`'s, mixed. `share` from 0 (all `start`) to 1. */
export function changeBetween(of: LabStats, start: LabStats, end: LabStats, share: number): LabChange {
  const mix = (a: number, b: number) => a + (b - a) * share;
  const ratio = (channel: 0 | 1 | 2, reference: LabStats) => {
    const spread = of.deviation[channel];
    return spread < FLAT ? 1 : Math.max(LEAST_RATIO[channel], reference.deviation[channel] / spread);
  };
  const each = <T>(value: (channel: 0 | 1 | 2) => T): [T, T, T] => [value(0), value(1), value(2)];
  return {
    from: of.mean,
    ratio: each((channel) => mix(ratio(channel, start), ratio(channel, end))),
    to: each((channel) => mix(start.mean[channel], end.mean[channel])),
  };
}
