import { type Grid, snapLength } from "../grid.ts";

/** What a seam between two clips is made from. Frames all. */
export interface Seam {
  /** Of the clip before; 0: there is none. */
  readonly before: number;
  readonly after: number;
  /** Frames of each clip that the model sees and that are cross-faded with what it makes of them. */
  readonly context: number;
  /** New frames. */
  readonly gap: number;
  /** Whether the new frames take the place of frames at the seam: half of them of each clip. Else they are added. */
  readonly replace: boolean;
}

export interface SeamPlan {
  /** How many frames the model makes: context, gap and context, a length of its grid. */
  readonly frames: number;
  readonly contextBefore: number;
  readonly contextAfter: number;
  /** Frames at the end of the clip before, and at the beginning of the clip after, that the gap replaces. */
  readonly replacedBefore: number;
  readonly replacedAfter: number;
  /** Frames at the outer end of what the model makes that are cut off again: where a side has no clip, no context fills the grid. */
  readonly cutBefore: number;
  readonly cutAfter: number;
  /** Frames of the result: both clips without what is replaced, and the gap. */
  readonly total: number;
}

/** Why a seam cannot be made; `wrong` is what has to change. */
export interface SeamProblem {
  readonly wrong: "before" | "after" | "gap" | "clips";
  readonly expected: string;
}

/**
 * Plans a seam so that the gap has exactly the frames that were asked for: what the model's grid needs beyond them is context, as
 * far as the clips have it. At the edge of a video there is no clip on one side, and what is too much is cut off there.
 */
export function planSeam(seam: Seam, grid: Grid): SeamPlan | SeamProblem {
  const { before, after, gap, replace } = seam;
  if (before === 0 && after === 0) {
    return { wrong: "clips", expected: "a clip before or after the new frames" };
  }
  const [replacedBefore, replacedAfter] = replace ? shareOut(gap, before, after) : [0, 0];
  const room = { before: before - replacedBefore, after: after - replacedAfter };
  for (const side of ["before", "after"] as const) {
    if (seam[side] > 0 && room[side] < 1) {
      return { wrong: side, expected: `more than the ${seam[side] - room[side]} frames that the new ones replace` };
    }
  }
  let contextBefore = Math.min(seam.context, room.before);
  let contextAfter = Math.min(seam.context, room.after);
  const least = contextBefore + gap + contextAfter;
  const frames = Math.max(nextLength(least, grid), grid.frameStep + 1);
  let extra = frames - least;
  const moreBefore = Math.min(Math.ceil(extra / 2), room.before - contextBefore);
  const moreAfter = Math.min(extra - moreBefore, room.after - contextAfter);
  const restBefore = Math.min(extra - moreBefore - moreAfter, room.before - contextBefore - moreBefore);
  contextBefore += moreBefore + restBefore;
  contextAfter += moreAfter;
  extra -= moreBefore + moreAfter + restBefore;
  if (extra > 0 && before > 0 && after > 0) {
    // Both clips are context as a whole, and the grid asks for more: only a gap of another length fits.
    const shorter = gap - (least - snapLength(least, grid));
    const fitting = [shorter, gap + frames - least].filter((each) => each >= 1);
    return { wrong: "gap", expected: `${fitting.join(" or ")} beside clips of ${before} and ${after} frames` };
  }
  return {
    frames,
    contextBefore,
    contextAfter,
    replacedBefore,
    replacedAfter,
    cutBefore: before === 0 ? extra : 0,
    cutAfter: before === 0 ? 0 : extra,
    total: room.before + room.after + gap,
  };
}

export function isSeamProblem(plan: SeamPlan | SeamProblem): plan is SeamProblem {
  return "wrong" in plan;
}

/** Half of each clip's end; all of one where the other is missing. */
function shareOut(gap: number, before: number, after: number): [number, number] {
  if (before === 0 || after === 0) {
    return before === 0 ? [0, gap] : [gap, 0];
  }
  return [Math.floor(gap / 2), Math.ceil(gap / 2)];
}

/** The shortest length of the grid that has at least so many frames. */
function nextLength(frames: number, { frameStep }: Grid): number {
  return Math.ceil((frames - 1) / frameStep) * frameStep + 1;
}
