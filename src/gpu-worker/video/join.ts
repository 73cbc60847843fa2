import type { Ffmpeg } from "./ffmpeg.ts";
import { type FrameRange, FramesError, stitchedLength } from "./frames/arithmetic.ts";
import { evenSize } from "./frames/format.ts";
import { measureVideo } from "./measure.ts";
import { stitchVideos } from "./stitch.ts";

export interface Seam {
  /** Frames of the clip before. */
  readonly before: number;
  /** Frames of the transition: `context` of the first clip, new ones, `context` of the second clip. */
  readonly transition: number;
  readonly after: number;
  /** Frames of each clip that the transition repeats at its ends. */
  readonly context: number;
  /** Frames of each clip, beyond its context, that the transition's new frames replace. 0 inserts them. */
  readonly replaced: { readonly before: number; readonly after: number };
}

export interface JoinPlan {
  /** The frames to use of the clip before, of the transition and of the clip after. */
  readonly ranges: readonly [FrameRange, FrameRange, FrameRange];
  /** Cross-faded frames at the two seams: all of the context. */
  readonly overlaps: readonly [number, number];
  /** Frames of the result. */
  readonly frames: number;
}

/**
 * Plans a join. The context frames, which both neighbours have, are cross-faded.
 * @throws FramesError when a clip is shorter than its context and what is replaced, or the transition than both contexts.
 */
export function planJoin({ before, transition, after, context, replaced }: Seam): JoinPlan {
  const check = (what: string, frames: number, needed: number) => {
    if (frames < needed) {
      throw new FramesError(`${what} has ${frames} frames: the seam needs ${needed}`);
    }
  };
  check("the clip before", before, Math.max(1, context + replaced.before));
  check("the transition", transition, Math.max(1, 2 * context));
  check("the clip after", after, Math.max(1, context + replaced.after));
  const ranges = [
    { start: 0, end: before - replaced.before },
    { start: 0, end: transition },
    { start: replaced.after, end: after },
  ] as const;
  const overlaps = [context, context] as const;
  const lengths = ranges.map(({ start, end }) => end - start);
  return { ranges, overlaps, frames: stitchedLength(lengths, overlaps) };
}

/**
 * Joins two clips around a transition, by `planJoin` and `stitchVideos`, in the size of the first. Keeps the clips' sound.
 * @returns the number of frames of the result.
 */
export async function joinAroundTransition(
  ffmpeg: Ffmpeg,
  files: { readonly before: string; readonly transition: string; readonly after: string },
  seam: Pick<Seam, "context" | "replaced">,
  options: { readonly target: string; readonly fps: number; readonly sharpen?: number },
): Promise<number> {
  const paths = [files.before, files.transition, files.after] as const;
  const [before, transition, after] = [
    await measureVideo(ffmpeg, paths[0]),
    await measureVideo(ffmpeg, paths[1]),
    await measureVideo(ffmpeg, paths[2]),
  ];
  const frames = { before: before.frames, transition: transition.frames, after: after.frames };
  const { ranges, overlaps } = planJoin({ ...frames, ...seam });
  const parts = [0, 1, 2].flatMap((index) => {
    const [path, range] = [paths[index], ranges[index]];
    return path === undefined || range === undefined ? [] : [{ path, range }];
  });
  return await stitchVideos(ffmpeg, parts, overlaps, { ...options, size: evenSize(before), audio: "keep" });
}
