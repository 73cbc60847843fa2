import type { Given, Problem } from "../resolved.ts";
import { type NamedFile, problemOf, valueOf } from "./given.ts";

export type Preprocessing = "flow" | "canny" | "depth" | "none";

/** A video that guides a travel, and the frames of the travel that it guides. */
export interface StructureVideo {
  readonly path: string;
  readonly start_frame: number;
  /** Without it: null, the end of the travel. */
  readonly end_frame: number | null;
  /** adjust: its frames are spread over those of the travel. clip: it runs at its own pace, again and again if it is too short. */
  readonly treatment: "adjust" | "clip";
  readonly source_start_frame: number;
  readonly source_end_frame: number | null;
}

/** How the structure of other videos guides a travel, or a segment of it. */
export interface Structure {
  readonly videos: readonly StructureVideo[];
  readonly target: "vace" | "uni3c";
  readonly preprocessing: Preprocessing;
  readonly strength: number;
  readonly canny_intensity: number;
  readonly depth_contrast: number;
  readonly step_window: readonly [number, number];
  readonly frame_policy: string;
  readonly zero_empty_frames: boolean;
  readonly keep_on_gpu: boolean;
  /** A video for the whole travel that is preprocessed already. */
  readonly _guidance_video_url: string | null;
  /** Where a segment begins in the travel. */
  readonly _frame_offset: number;
}

/** Frames of a segment that a video guides. */
export interface StructurePart {
  readonly file: NamedFile;
  readonly video: StructureVideo;
  /** The first frame of the segment, and how many there are. */
  readonly at: number;
  readonly frames: number;
  /** How many frames of the travel the video guides, and how many of these lie before the segment. */
  readonly span: number;
  readonly skipped: number;
}

const USUAL: Structure = {
  videos: [],
  target: "vace",
  preprocessing: "flow",
  strength: 1,
  canny_intensity: 1,
  depth_contrast: 1,
  step_window: [0, 1],
  frame_policy: "fit",
  zero_empty_frames: true,
  keep_on_gpu: false,
  _guidance_video_url: null,
  _frame_offset: 0,
};
const USUAL_VIDEO: Omit<StructureVideo, "path"> = {
  start_frame: 0,
  end_frame: null,
  treatment: "adjust",
  source_start_frame: 0,
  source_end_frame: null,
};

type Fields = Readonly<Record<string, unknown>>;

/** The structure that a task asks for, in the newer form (`structure_guidance`) or by the older fields; null: none. */
export function structureOf(given: Given): Structure | null {
  const newer = valueOf<Fields>(given, "structure_guidance");
  const structure = newer === undefined ? olderStructure(given) : withValues(USUAL, newer);
  const videos = (structure.videos ?? []).map((video) => withValues({ ...USUAL_VIDEO, path: video.path }, video));
  return videos.length === 0 && !structure._guidance_video_url ? null : { ...structure, videos };
}

function olderStructure(given: Given): Structure {
  const listed = valueOf<readonly (StructureVideo & { readonly structure_type?: string | null })[]>(
    given,
    "structure_videos",
  );
  const path = valueOf<string>(given, "structure_video_path");
  const treatment = valueOf<StructureVideo["treatment"]>(given, "structure_video_treatment");
  const single = path === undefined ? [] : [{ ...USUAL_VIDEO, path, ...(treatment && { treatment }) }];
  const type = valueOf<string>(given, "structure_type") ?? listed?.[0]?.structure_type ?? "flow";
  const isRaw = type === "raw" || type === "uni3c";
  return withValues(USUAL, {
    videos: listed ?? single,
    target: type === "uni3c" ? "uni3c" : "vace",
    preprocessing: isRaw ? "none" : type,
    strength: valueOf(given, "structure_video_motion_strength"),
    canny_intensity: valueOf(given, "structure_canny_intensity"),
    depth_contrast: valueOf(given, "structure_depth_contrast"),
    _guidance_video_url: valueOf(given, "structure_guidance_video_url"),
    _frame_offset: valueOf(given, "structure_guidance_frame_offset"),
  });
}

/** What is wrong with the videos together: no two guide the same frame. */
export function structureProblems(given: Given): Problem[] {
  const structure = structureOf(given);
  const name = given["structure_guidance"] === undefined ? "structure_videos" : "structure_guidance";
  const at = name === "structure_guidance" ? ".videos" : "";
  const placed = (structure?.videos ?? []).map((video, place) => ({ ...video, place }));
  return placed
    .toSorted((one, other) => one.start_frame - other.start_frame)
    .flatMap(({ start_frame: start, place }, index, sorted) => {
      const before = sorted[index - 1];
      const end = before === undefined ? 0 : (before.end_frame ?? Infinity);
      return start >= end
        ? []
        : [problemOf(given, name, `at least ${end}, the end of another video`, start, `${at}[${place}].start_frame`)];
    });
}

/** The structure as the segment of a travel gets it: each video with its end, and the place of the segment. */
export function structureOfSegment(structure: Structure, travelFrames: number, offset: number): Structure {
  const videos = structure.videos
    .filter(({ start_frame: start }) => start < travelFrames)
    .map((video) => ({ ...video, end_frame: Math.min(video.end_frame ?? travelFrames, travelFrames) }));
  return { ...structure, videos, _frame_offset: offset };
}

/** The frames of a segment that videos guide. */
export function structureParts({ videos, ...structure }: Structure, frames: number): StructurePart[] {
  const { _guidance_video_url: ready, _frame_offset: offset } = structure;
  if (ready) {
    const video = { ...USUAL_VIDEO, path: ready, source_start_frame: offset, source_end_frame: offset + frames };
    const file = { field: "structure_guidance._guidance_video_url", file: ready };
    return [{ file, video, at: 0, frames, span: frames, skipped: 0 }];
  }
  return videos.flatMap((video, place) => {
    const { start_frame: start, end_frame: end, path } = video;
    const last = end ?? offset + frames;
    const from = Math.max(start, offset);
    const to = Math.min(last, offset + frames);
    const file = { field: `structure_guidance.videos[${place}].path`, file: path };
    const part = { file, video, at: from - offset, frames: to - from, span: last - start, skipped: from - start };
    return part.frames > 0 ? [part] : [];
  });
}

/** The values that are set, over the usual ones. */
function withValues<T extends object>(usual: T, values: object): T {
  const set = Object.entries(values).filter(([name, value]) => name in usual && value !== null && value !== undefined);
  return { ...usual, ...Object.fromEntries(set) };
}
