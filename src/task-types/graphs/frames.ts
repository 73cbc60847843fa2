import { type Grid, snapLength } from "../grid.ts";

/** A value that a plan could not use as it was given. */
export interface Adjustment {
  /** Such as "segment 3" or "the seam before segment 3"; both count from 0. */
  readonly of: string;
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

export interface FramePlan {
  /** Frames of each segment, those that it shares with its neighbours included. */
  readonly lengths: readonly number[];
  /** `overlaps[i]`: frames that segments i and i + 1 share. */
  readonly overlaps: readonly number[];
  /** Frames of the stitched video: Σ lengths − Σ overlaps. */
  readonly frames: number;
  readonly adjustments: readonly Adjustment[];
}

/**
 * The lengths and overlaps of a travel. A length becomes one that the model can make, the next shorter one; an overlap becomes even
 * and at most as long as the shorter of its neighbours. So each segment is generated with exactly its length, and no frame is lost.
 * @param overlaps one fewer than lengths
 */
export function planFrames(lengths: readonly number[], overlaps: readonly number[], grid: Grid): FramePlan {
  const adjustments: Adjustment[] = [];
  const cut = lengths.map((length, index) => {
    const to = segmentLength(length, grid);
    if (to !== length) {
      const why = `the model makes lengths of ${grid.frameStep}n+1 frames, at least ${grid.frameStep + 1}`;
      adjustments.push({ of: `segment ${index}`, from: length, to, why });
    }
    return to;
  });
  const shared = overlaps.map((overlap, index) => {
    const to = sharedFrames(overlap, Math.min(cut[index] ?? 0, cut[index + 1] ?? 0));
    if (to !== overlap) {
      const why = "an overlap is even and not longer than the shorter neighbour";
      adjustments.push({ of: `the seam before segment ${index + 1}`, from: overlap, to, why });
    }
    return to;
  });
  return { lengths: cut, overlaps: shared, frames: sum(cut) - sum(shared), adjustments };
}

/** A segment is a video: it has at least one step of the grid. */
export function segmentLength(frames: number, grid: Grid): number {
  return Math.max(grid.frameStep + 1, snapLength(frames, grid));
}

/** The largest even number of frames up to what was asked and up to the shorter neighbour. */
export function sharedFrames(asked: number, shorter: number): number {
  return Math.floor(Math.min(asked, shorter) / 2) * 2;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}
