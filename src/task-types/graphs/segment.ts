import { gridOf } from "../grid.ts";
import { isObject, own } from "../levels.ts";
import type { Given, Problem } from "../resolved.ts";
import { isChained, usesVace } from "./chaining.ts";
import { segmentLength } from "./frames.ts";
import { filesOf, problemOf, valueOf } from "./given.ts";

/** A file that a segment needs, with the parameter that names it. */
export interface NamedFile {
  readonly field: string;
  readonly file: string;
}

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
  readonly videoPromptType: string;
  readonly saturation: number;
  readonly brightness: number;
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
  return problems;
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
  const kept = ownGuide ? keptFrames(frames, previous?.frames ?? 0, start !== null, pictures.end !== null) : [];
  const refs = refsOf(given, index);
  const laterOnly = (name: string, none: number) => (index === 0 ? none : (valueOf<number>(given, name) ?? none));
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
    videoPromptType:
      valueOf<string>(given, "video_prompt_type") ??
      promptType(isVace || guide !== null, ownGuide || mask !== null, refs.length > 0),
    saturation: laterOnly("after_first_post_generation_saturation", 1),
    brightness: laterOnly("after_first_post_generation_brightness", 0),
  };
}

/** Wan2GP's letters: V a guide, M a mask, I pictures to refer to. */
function promptType(hasGuide: boolean, hasMask: boolean, hasRefs: boolean): string {
  return [hasGuide && "V", hasGuide && hasMask && "M", hasRefs && "I"].filter(Boolean).join("") || "disabled";
}

function keptFrames(frames: number, previous: number, hasStart: boolean, hasEnd: boolean): Frames[] {
  const head = Math.min(frames, previous > 0 ? previous : Number(hasStart));
  const tail = hasEnd && head < frames ? [{ start: frames - 1, end: frames }] : [];
  return [...(head > 0 ? [{ start: 0, end: head }] : []), ...tail];
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
