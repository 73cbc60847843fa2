/** Frames from `start`, counted from 0, up to and without `end`. */
export interface FrameRange {
  readonly start: number;
  readonly end: number;
}

/** Where a part of a stitched video lies in it. Its first `fade` frames are blended with the end of what lies before. */
export interface Placement extends FrameRange {
  readonly fade: number;
}

/** The frames asked for do not exist, or overlap in a way that no video can have. */
export class FramesError extends Error {
  override readonly name = "FramesError";
}

/**
 * Places parts one after the other, neighbours sharing `overlaps[i]` frames. The last end is Σ lengths − Σ overlaps.
 * @throws FramesError naming the part that is empty, or the overlap that is longer than a neighbour.
 */
export function placeParts(lengths: readonly number[], overlaps: readonly number[]): Placement[] {
  if (lengths.length === 0 || overlaps.length !== lengths.length - 1) {
    throw new FramesError(`${lengths.length} parts have ${overlaps.length} overlaps: expected one between neighbours`);
  }
  const placements: Placement[] = [];
  let end = 0;
  for (const [index, length] of lengths.entries()) {
    const fade = index === 0 ? 0 : (overlaps[index - 1] ?? 0);
    const shorter = Math.min(length, lengths[index - 1] ?? length);
    if (!Number.isInteger(length) || length < 1) {
      throw new FramesError(`part ${index} has ${length} frames: expected at least one`);
    }
    if (!Number.isInteger(fade) || fade < 0 || fade > shorter) {
      throw new FramesError(`the overlap before part ${index} is ${fade} frames: expected 0 to ${shorter}`);
    }
    placements.push({ start: end - fade, end: end - fade + length, fade });
    end += length - fade;
  }
  return placements;
}

/**
 * For each frame at the new rate, the frame at the old one that is shown at its time. There are round(frames × toFps / fromFps)
 * of them, at least one.
 */
export function resampledFrames(frames: number, fromFps: number, toFps: number): number[] {
  const count = Math.max(1, Math.round((frames * toFps) / fromFps));
  // The middle of a frame's time decides, so that rounding of a rate such as 29.97 does not matter.
  return Array.from({ length: count }, (_, index) =>
    Math.min(frames - 1, Math.floor(((index + 0.5) * fromFps) / toFps)),
  );
}

/** Frames spread evenly over a video, the first and the last included; frames are left out or repeated as needed. */
export function spreadFrames(frames: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) =>
    count === 1 ? 0 : Math.floor((index * (frames - 1)) / (count - 1)),
  );
}
