import { gridOf } from "../grid.ts";
import { isObject, own } from "../levels.ts";
import type { Given, Problem } from "../resolved.ts";
import { isChained, usesVace } from "./chaining.ts";
import { segmentLength } from "./frames.ts";
import { type GuideStrengths, guideStrengths } from "./fades.ts";
import { filesOf, type NamedFile, problemOf, valueOf } from "./given.ts";
import { type Structure, structureOf, structureProblems } from "./structure.ts";

/** Frames from `start`, counted from 0, up to and without `end`. */
export interface Frames {
  readonly start: number;
  readonly end: number;
}

/**
 * How one segment is made. A VACE model follows `guide` where `kept` says so (black in the mask) and makes the other frames; other
 * models get the pictures as they are, and the frames before as a video to continue.
 */
export interface SegmentPlan {
  readonly index: number;
  readonly frames: number;
  readonly usesVace: boolean;
  /** Where its first frames come from: the segment before, or the video that the travel continues. */
  readonly previous: { readonly from: "predecessor" | NamedFile; readonly frames: number } | null;
  /** The picture of its first frame, and that of its last one. */
  readonly start: NamedFile | null;
  readonly end: NamedFile | null;
  readonly refs: readonly NamedFile[];
  /** A guide and a mask that the task names are used as they are. */
  readonly guide: NamedFile | null;
  readonly mask: NamedFile | null;
  /** Frames of a guide of our own that are kept; empty where the task names a guide, or where the model follows none. */
  readonly kept: readonly Frames[];
  /** How strongly the pictures and the frames before stand in a guide of our own. */
  readonly strengths: GuideStrengths;
  /** Of the frames before, in a guide of our own. */
  readonly previousLook: { readonly desaturate: number; readonly brightness: number };
  /** Other videos whose structure guides the free frames; null: none does, or the model follows none. */
  readonly structure: Structure | null;
  readonly videoPromptType: string;
  readonly saturation: number;
  readonly brightness: number;
  /** The pictures between which the segment lies, whatever its first frames come from. */
  readonly between: { readonly start: NamedFile | null; readonly end: NamedFile | null };
}

const PATHS = "input_image_paths_resolved";
const CONTINUED = "continue_from_video_resolved_path";
const REFS_BY_SEGMENT = "vace_image_refs_to_prepare_by_worker";

/** What is wrong with the values of a segment together. */
export function segmentProblems(given: Given): Problem[] {
  const problems: Problem[] = [];
  const plan = planSegment(given);
  for (const name of ["frame_overlap_from_previous", "frame_overlap_with_next"]) {
    const overlap = valueOf<number>(given, name) ?? 0;
    if (overlap > plan.frames) {
      problems.push(problemOf(given, name, `at most ${plan.frames}, the frames of the segment`, overlap));
    }
  }
  if (!plan.usesVace && plan.start === null && plan.previous === null && valueOf(given, "model_type") === "i2v") {
    problems.push(problemOf(given, "image_start", "the URL or path of a file: the segment begins with it", undefined));
  }
  return [...problems, ...structureProblems(given)];
}

/** Plans a segment, as part of a travel and by itself. */
export function planSegment(given: Given): SegmentPlan {
  const index = valueOf<number>(given, "segment_index") ?? 0;
  const frames = segmentLength(valueOf<number>(given, "video_length") ?? 1, gridOf(valueOf(given, "model")));
  const isVace = usesVace(given);
  const [guide, mask] = [named(given, "video_guide"), named(given, "video_mask")];
  const previous = previousOf(given, index);
  const pictures = picturesOf(given, index);
  // The frames of the segment before end with this picture.
  const start = previous === null ? pictures.start : null;
  const ownGuide = isVace && guide === null;
  const sources = { previous: previous?.frames ?? 0, hasStart: start !== null, hasEnd: pictures.end !== null };
  const strengths = guideStrengths(given, { frames, ...sources });
  const kept = ownGuide ? keptFrames(frames, strengths) : [];
  const refs = refsOf(given, index);
  const isLater = index > 0 || previous !== null;
  const laterOnly = (name: string, none: number) => (isLater ? (valueOf<number>(given, name) ?? none) : none);
  const structure = structureOf(given);
  const followsStructure = structure?.target === "uni3c" || ownGuide;
  return {
    index,
    frames,
    usesVace: isVace,
    previous,
    start,
    end: pictures.end,
    refs,
    guide,
    mask,
    kept,
    strengths,
    previousLook: {
      desaturate: valueOf<number>(given, "desaturate_subsequent_starting_frames") ?? 0,
      brightness: valueOf<number>(given, "adjust_brightness_subsequent_starting_frames") ?? 0,
    },
    structure: followsStructure ? structure : null,
    videoPromptType:
      valueOf<string>(given, "video_prompt_type") ??
      promptType(isVace || guide !== null, ownGuide || mask !== null, refs.length > 0),
    saturation: laterOnly("after_first_post_generation_saturation", 1),
    brightness: laterOnly("after_first_post_generation_brightness", 0),
    between: pictures,
  };
}

/** Wan2GP's letters: V a guide, M a mask, I pictures to refer to. */
function promptType(hasGuide: boolean, hasMask: boolean, hasRefs: boolean): string {
  return [hasGuide && "V", hasGuide && hasMask && "M", hasRefs && "I"].filter(Boolean).join("") || "disabled";
}

/** The frames that a guide shows as they are: what is mixed with grey only leads. */
function keptFrames(frames: number, { previous, start, end }: GuideStrengths): Frames[] {
  const isKept = (at: number) =>
    (at < previous.length ? previous[at] === 1 : at === 0 && start.length > 0) || (at === frames - 1 && end.length > 0);
  const kept: Frames[] = [];
  for (let at = 0; at < frames; at += 1) {
    const last = kept.at(-1);
    if (!isKept(at)) {
      continue;
    }
    if (last?.end === at && at !== frames - 1) {
      kept.splice(-1, 1, { start: last.start, end: at + 1 });
    } else {
      kept.push({ start: at, end: at + 1 });
    }
  }
  return kept;
}

function previousOf(given: Given, index: number): SegmentPlan["previous"] {
  const frames = valueOf<number>(given, "frame_overlap_from_previous") ?? 0;
  const continued = named(given, CONTINUED);
  if (frames === 0 || (index === 0 && continued === null)) {
    return null;
  }
  if (index === 0) {
    return continued === null ? null : { from: continued, frames };
  }
  return isChained(given) ? { from: "predecessor", frames } : null;
}

/** Pictures beside the segment are its own: the first and the last. Those of the run are one for each end of a segment. */
function picturesOf(given: Given, index: number): Pick<SegmentPlan, "start" | "end"> {
  const listed = filesOf(given, PATHS);
  const field = given[PATHS]?.from[0] ?? PATHS;
  const isOwn = listed.length <= 2 && /^params\.(?:individual_segment_params\.)?\w+$/.test(field);
  const isContinued = valueOf(given, CONTINUED) !== undefined;
  // A continued video takes the place of the first picture.
  const first = isOwn ? 0 : index - Number(isContinued);
  const at = (place: number): NamedFile | null => {
    const file = listed[place];
    return file === undefined ? null : { field: `${PATHS}[${place}]`, file };
  };
  return { start: named(given, "image_start") ?? at(first), end: named(given, "image_end") ?? at(first + 1) };
}

function refsOf(given: Given, index: number): NamedFile[] {
  const common = filesOf(given, "image_refs").map((file, at) => ({ field: `image_refs[${at}]`, file }));
  const listed = valueOf<readonly unknown[]>(given, REFS_BY_SEGMENT) ?? [];
  const forSegment = listed.flatMap((entry, at) => {
    const file = refFile(entry, index);
    return file === null ? [] : [{ field: `${REFS_BY_SEGMENT}[${at}]`, file }];
  });
  return [...common, ...forSegment];
}

/** An entry is a file for every segment, or an object with a file and perhaps the segment that it is for. */
function refFile(entry: unknown, index: number): string | null {
  if (!isObject(entry)) {
    return typeof entry === "string" && entry !== "" ? entry : null;
  }
  const first = (...names: readonly string[]) =>
    names.map((name) => own(entry, name)).find((each) => each !== undefined);
  const file = first("url", "path", "original_path", "image_url");
  const segment = first("segment_index", "segment_idx", "segment_idx_for_naming");
  return typeof file === "string" && (segment === undefined || segment === index) ? file : null;
}

function named(given: Given, name: string): NamedFile | null {
  const [file] = filesOf(given, name);
  return file === undefined || file === "" ? null : { field: name, file };
}
