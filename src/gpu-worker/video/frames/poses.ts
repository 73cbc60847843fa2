import { FramesError } from "./arithmetic.ts";

/** One point of a pose, in px or as a share of the picture's sides; `confidence` from 0 (not seen) to 1. */
export interface Keypoint {
  readonly x: number;
  readonly y: number;
  readonly confidence: number;
}

export type Pose = readonly Keypoint[];

/**
 * Poses from one to another, both included, at an even pace. A point that only one of them has stays there, and its confidence
 * rises or falls between.
 * @throws FramesError when the poses have different numbers of points, or fewer than two frames are asked for.
 */
export function interpolatePoses(first: Pose, last: Pose, frames: number): Pose[] {
  if (first.length !== last.length) {
    throw new FramesError(`a pose of ${first.length} points cannot become one of ${last.length}`);
  }
  if (!Number.isInteger(frames) || frames < 2) {
    throw new FramesError(`${frames} frames cannot lead from one pose to another: expected at least 2`);
  }
  return Array.from({ length: frames }, (_, frame) => {
    const share = frame / (frames - 1);
    return first.map((from, index) => between(from, last[index] ?? from, share));
  });
}

function between(first: Keypoint, last: Keypoint, share: number): Keypoint {
  const from = first.confidence > 0 ? first : last;
  const to = last.confidence > 0 ? last : first;
  const mix = (a: number, b: number) => a * (1 - share) + b * share;
  return {
    x: mix(from.x, to.x),
    y: mix(from.y, to.y),
    confidence: mix(first.confidence, last.confidence),
  };
}
