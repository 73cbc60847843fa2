import { gridOf } from "../grid.ts";
import type { Given, Problem } from "../resolved.ts";
import { isChained } from "./chaining.ts";
import { type Adjustment, type FramePlan, planFrames, sharedFrames } from "./frames.ts";
import { filesOf, itemOf, problemOf, valueOf } from "./given.ts";
import { structureProblems } from "./structure.ts";

export interface PlannedSegment {
  readonly index: number;
  /** Null: the run has none for this segment. */
  readonly prompt: string | null;
  /** Whether a model has written the prompt already. */
  readonly isEnhanced: boolean;
  readonly negativePrompt: string | null;
  readonly frames: number;
  /** Frames that it shares with the segment before it; for the first one: with the video that is continued. */
  readonly overlapBefore: number;
  readonly overlapAfter: number;
  /** Its first frame in the stitched video; without those of the video that is continued, whose seam lies before 0. */
  readonly at: number;
  readonly seed: number;
}

export interface TravelPlan {
  readonly segments: readonly PlannedSegment[];
  /** Whether each segment waits for the one before it. */
  readonly isChained: boolean;
  /** Frames that neighbours share; the first entry is the seam with the video that is continued, if there is one. */
  readonly overlaps: readonly number[];
  /** Frames of the stitched video; without those of the video that is continued. */
  readonly frames: number;
  readonly adjustments: readonly Adjustment[];
}

const DEFAULT_FRAMES = 49;

/** What is wrong with the values of a travel together. */
export function travelProblems(given: Given): Problem[] {
  const count = valueOf<number>(given, "num_new_segments_to_generate") ?? 0;
  const problems: Problem[] = [];
  const listed = (name: string, least: number, what: string) => {
    const value = valueOf<unknown>(given, name);
    if (Array.isArray(value) && value.length < least) {
      problems.push(problemOf(given, name, `at least ${least} ${what} for ${count} segments`, value));
    }
  };
  listed("segment_frames_expanded", count, "lengths");
  listed("frame_overlap_expanded", seams(given, count), "overlaps");
  const pictures = filesOf(given, "input_image_paths_resolved");
  const least = isContinued(given) ? count - 1 : count;
  if (pictures.length < least) {
    const allowed = `at least ${least} pictures for ${count} segments`;
    problems.push(problemOf(given, "input_image_paths_resolved", allowed, pictures));
  }
  const [chain, independent] = ["chain_segments", "independent_segments"].map((name) => valueOf<boolean>(given, name));
  if (chain !== undefined && chain === independent) {
    problems.push(problemOf(given, "independent_segments", `${!chain}, the opposite of chain_segments`, independent));
  }
  const seed = valueOf<number>(given, "seed_base") ?? 0;
  if (seed + count > Number.MAX_SAFE_INTEGER) {
    problems.push(problemOf(given, "seed_base", `an integer up to ${Number.MAX_SAFE_INTEGER - count}`, String(seed)));
  }
  return [...problems, ...structureProblems(given)];
}

/** The segments of a travel whose values have no problem. */
export function planTravel(given: Given): TravelPlan {
  const count = valueOf<number>(given, "num_new_segments_to_generate") ?? 0;
  const places = Array.from({ length: count }, (_, index) => index);
  const lengths = places.map((index) => itemOf<number>(given, "segment_frames_expanded", index) ?? DEFAULT_FRAMES);
  const asked = overlapsOf(given, seams(given, count));
  const continued = isContinued(given) ? asked.slice(0, 1) : [];
  const between = asked.slice(continued.length);
  const planned = planFrames(lengths, between, gridOf(valueOf(given, "model")));
  const before = continued.map((overlap) => sharedFrames(overlap, planned.lengths[0] ?? 0));
  return { ...planned, ...planSegments(given, planned, before), overlaps: [...before, ...planned.overlaps] };
}

function planSegments(
  given: Given,
  { lengths, overlaps, frames }: FramePlan,
  before: readonly number[],
): Pick<TravelPlan, "segments" | "isChained" | "frames"> {
  const seed = valueOf<number>(given, "seed_base") ?? 0;
  const enhanced = (index: number) => itemOf<string>(given, "enhanced_prompts_expanded", index)?.trim() ?? "";
  const segments = lengths.map((length, index) => ({
    index,
    prompt: enhanced(index) || (itemOf<string>(given, "base_prompts_expanded", index) ?? null),
    isEnhanced: enhanced(index) !== "",
    at: sum(lengths.slice(0, index)) - sum(overlaps.slice(0, index)),
    negativePrompt: itemOf<string>(given, "negative_prompts_expanded", index) ?? null,
    frames: length,
    overlapBefore: (index === 0 ? before[0] : overlaps[index - 1]) ?? 0,
    overlapAfter: overlaps[index] ?? 0,
    // A random one stays random.
    seed: seed === -1 ? -1 : seed + index,
  }));
  return { segments, isChained: isChained(given), frames: frames - (before[0] ?? 0) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}

export function isContinued(given: Given): boolean {
  return valueOf(given, "continue_from_video_resolved_path") !== undefined;
}

function seams(given: Given, count: number): number {
  return isContinued(given) ? count : count - 1;
}

function overlapsOf(given: Given, count: number): number[] {
  const value = valueOf<number | readonly number[]>(given, "frame_overlap_expanded") ?? 0;
  return typeof value === "number" ? Array.from({ length: count }, () => value) : value.slice(0, count);
}
