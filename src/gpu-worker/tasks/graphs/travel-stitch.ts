import { join } from "node:path";
import { problemOf, valueOf } from "../../../task-types/graphs/given.ts";
import type { Given } from "../../../task-types/resolved.ts";
import { type Size, sizeOf } from "../../../task-types/size.ts";
import { stitchVideos } from "../../video/stitch.ts";
import type { Handler, InputFile, TaskRun } from "../handler.ts";
import { NotReadyError } from "../not-ready.ts";
import { ParamsError } from "../params-error.ts";
import { prepareClip, type PreparedClip, shapeOf, type Shape, soundOf } from "./clips.ts";
import { givenOf, locationOf, problemsError } from "./graph-run.ts";
import { enlarge } from "./enlarge.ts";

const FETCHED = 0.2;
const STITCHED = 0.8;

/** The segments of a travel in one video: all of them, or an error. */
export const travelStitch: Handler = async (run) => {
  const given = givenOf(run);
  const { logger, progress, workDir, basename } = run;
  const parts = await fetchParts(run, given);
  progress(FETCHED, `${parts.clips.length} parts fetched`);
  const overlaps = overlapsOf(given, parts.clips.length);
  const lengths = parts.clips.map(({ frames }) => frames);
  checkOverlaps(given, lengths, overlaps);
  const frames = sum(lengths) - sum(overlaps);
  logger.info({ category: "STITCH_DEBUG", lengths, overlaps, frames }, "stitch planned");

  const factor = valueOf<number>(given, "upscale_factor") ?? 0;
  const isEnlarged = factor > 1;
  const main = join(workDir, `${basename}.mp4`);
  const target = isEnlarged ? join(workDir, "stitched.mp4") : main;
  const sharpen = valueOf<number>(given, "crossfade_sharp_amt");
  const made = await stitchVideos(run.ffmpeg, parts.clips, overlaps, {
    ...parts.shape,
    target,
    ...(sharpen !== undefined && { sharpen }),
    audio: soundOf(parts.clips),
    onFrame: (frame) =>
      progress(FETCHED + (STITCHED - FETCHED) * Math.min(1, frame / frames), `frame ${frame} of ${frames}`),
  });
  if (made !== frames) {
    throw new Error(`the stitched video has ${made} frames instead of ${frames}`);
  }
  const result = { segments: parts.segments, segment_frames: lengths, overlaps, total_frames: frames };
  if (!isEnlarged) {
    return { kind: "files", main, model: null, result };
  }
  const enlarged = await enlarge(run, given, target, { ...parts.shape, frames, factor }, main);
  return { kind: "files", main, model: enlarged.model, result: { ...result, ...enlarged.result } };
};

interface Parts {
  /** The video that is continued first, if there is one. */
  readonly clips: readonly PreparedClip[];
  readonly segments: number;
  readonly shape: Shape;
}

async function fetchParts(run: TaskRun, given: Given): Promise<Parts> {
  const locations = await segmentLocations(run, given);
  const fetched: InputFile[] = [];
  for (const [index, location] of locations.entries()) {
    fetched.push(await run.inputs.fetch(`segment_task_ids[${index}]`, location, "video"));
  }
  const [first] = fetched;
  if (first === undefined) {
    throw new ParamsError("params.num_total_segments_generated: expected at least one segment");
  }
  const fps = valueOf<number>(given, "fps") ?? shapeOf(first, "segment_task_ids[0]").fps;
  const shape: Shape = { size: sizeOfResult(given) ?? shapeOf(first, "segment_task_ids[0]").size, fps };
  const continued = valueOf<string>(given, "initial_continued_video_path");
  const clips: PreparedClip[] = [];
  if (continued !== undefined) {
    const clip = await run.inputs.fetch("initial_continued_video_path", continued, "video");
    clips.push(await prepareClip(run, clip, "continued", shape));
  }
  for (const [index, clip] of fetched.entries()) {
    // Segments are stitched frame by frame, whatever rate their files state.
    clips.push(await prepareClip(run, { ...clip, fps }, `segment_${index}`, shape));
  }
  return { clips, segments: fetched.length, shape };
}

function sizeOfResult(given: Given): Size | null {
  const text = valueOf<string>(given, "resolution");
  return text === undefined ? null : sizeOf(text);
}

/** Where the segments are: those that the task names, or those of its run. */
async function segmentLocations(run: TaskRun, given: Given): Promise<string[]> {
  const count = valueOf<number>(given, "num_total_segments_generated");
  const ids = valueOf<readonly string[]>(given, "segment_task_ids");
  if (ids !== undefined) {
    if (count !== undefined && count !== ids.length) {
      throw problemsError([problemOf(given, "segment_task_ids", `${count} tasks, one for each segment`, ids)]);
    }
    const locations: string[] = [];
    for (const [index, id] of ids.entries()) {
      locations.push(locationOf(await run.graph.outputOf(id), `segment ${index}`));
    }
    return locations;
  }
  const runId = valueOf<string>(given, "run_id");
  if (runId === undefined || count === undefined) {
    const missing = runId === undefined ? "run_id" : "num_total_segments_generated";
    throw problemsError([problemOf(given, missing, "the run and the number of its segments", undefined)]);
  }
  return await completedLocations(run, runId, count);
}

async function completedLocations(run: TaskRun, runId: string, count: number): Promise<string[]> {
  const found = await run.graph.completedSegments(runId);
  const byIndex = new Map(found.map(({ segmentIndex, outputLocation }) => [segmentIndex, outputLocation]));
  if (byIndex.size < found.length) {
    throw new Error(`run ${runId} has ${found.length} complete segments for ${byIndex.size} places`);
  }
  return Array.from({ length: count }, (_, index) => {
    const location = byIndex.get(index);
    if (location === undefined) {
      throw new NotReadyError(`segment ${index} of run ${runId} is not complete; ${found.length} of ${count} are`);
    }
    return location;
  });
}

function overlapsOf(given: Given, parts: number): number[] {
  const value = valueOf<number | readonly number[]>(given, "frame_overlap_settings_expanded") ?? 0;
  if (typeof value === "number") {
    return Array.from({ length: parts - 1 }, () => value);
  }
  if (value.length < parts - 1) {
    const allowed = `at least ${parts - 1} overlaps, one for each seam`;
    throw problemsError([problemOf(given, "frame_overlap_settings_expanded", allowed, value)]);
  }
  return value.slice(0, parts - 1);
}

function checkOverlaps(given: Given, lengths: readonly number[], overlaps: readonly number[]): void {
  const problems = overlaps.flatMap((overlap, index) => {
    const shorter = Math.min(lengths[index] ?? 0, lengths[index + 1] ?? 0);
    return overlap <= shorter
      ? []
      : [problemOf(given, "frame_overlap_settings_expanded", `at most ${shorter}`, overlap, `[${index}]`)];
  });
  if (problems.length > 0) {
    throw problemsError(problems);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}
