import { join } from "node:path";
import { filesOf, problemOf, valueOf } from "../../../task-types/graphs/given.ts";
import { isObject } from "../../../task-types/levels.ts";
import type { Given } from "../../../task-types/resolved.ts";
import { type Size, sizeOf } from "../../../task-types/size.ts";
import type { NotHonoured } from "../../engines/engine.ts";
import { stitchVideos } from "../../video/stitch.ts";
import type { Handler, InputFile, TaskRun } from "../handler.ts";
import { NotReadyError } from "../not-ready.ts";
import { ParamsError } from "../params-error.ts";
import { writeBanner } from "./banner-of.ts";
import { prepareClip, type PreparedClip, shapeOf, type Shape, soundOf } from "./clips.ts";
import { givenOf, locationOf, problemsError } from "./graph-run.ts";
import { enlarge } from "./enlarge.ts";

/** An older worker writes its file there. */
const IGNORED = [{ param: "final_stitched_output_path", reason: "the file is stored as every result is" }];
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
  logger.info({ category: "CRITICAL_DEBUG", lengths, overlaps, frames }, "stitch planned");

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
  const { size, fps } = parts.shape;
  const expected = { frames, fps, ...size };
  await run.debug.measure("STITCH_DEBUG", "the stitched video", target, expected);
  const result = { segments: parts.segments, segment_frames: lengths, overlaps, total_frames: frames };
  const notHonoured = [...parts.notHonoured, ...IGNORED];
  if (!isEnlarged) {
    const unused = { param: "upscale_model_name", reason: "upscale_factor asks for no larger video" };
    return { kind: "files", main, expected, model: null, result, notHonoured: [...notHonoured, unused] };
  }
  const enlarged = await enlarge(run, given, target, { ...parts.shape, frames, factor }, main);
  return {
    kind: "files",
    main,
    expected: { frames, fps, ...enlarged.size },
    model: enlarged.model,
    result: { ...result, ...enlarged.result },
    notHonoured: [...notHonoured, ...enlarged.notHonoured],
  };
};

interface Parts {
  /** The video that is continued first, if there is one. */
  readonly clips: readonly PreparedClip[];
  readonly segments: number;
  readonly shape: Shape;
  /** What the segments' results say of parameters without effect. */
  readonly notHonoured: readonly NotHonoured[];
}

async function fetchParts(run: TaskRun, given: Given): Promise<Parts> {
  const { locations, notHonoured } = await segmentLocations(run, given);
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
  const segments = fetched.length;
  if (valueOf(given, "show_input_images") !== true) {
    return { clips, segments, shape, notHonoured };
  }
  const shown = await withPictures(run, given, clips, clips.length - segments);
  return { clips: shown, segments, shape: { ...shape, size: twiceAsHigh(shape.size) }, notHonoured };
}

/** The parts with the pictures between which they lie above them. @param continued how many parts before the first picture */
async function withPictures(run: TaskRun, given: Given, clips: readonly PreparedClip[], continued: number) {
  const pictures = filesOf(given, "input_image_paths_resolved");
  const picture = async (at: number) => {
    const file = pictures[at];
    return file === undefined ? null : (await run.inputs.fetch("input_image_paths_resolved", file, "picture")).path;
  };
  const shown: PreparedClip[] = [];
  for (const [index, clip] of clips.entries()) {
    // A continued video takes the place of the first picture.
    const first = index < continued ? Infinity : index - 2 * continued;
    const path = join(run.workDir, `shown_${index}.mp4`);
    await writeBanner(run, clip.path, { start: await picture(first), end: await picture(first + 1) }, path);
    await run.debug.measure("CHAIN_DEBUG", `part ${index} with the pictures above`, path, { frames: clip.frames });
    shown.push({ ...clip, path });
  }
  return shown;
}

function twiceAsHigh({ width, height }: Size): Size {
  return { width, height: height * 2 };
}

function sizeOfResult(given: Given): Size | null {
  const text = valueOf<string>(given, "resolution");
  return text === undefined ? null : sizeOf(text);
}

type Located = Pick<Parts, "notHonoured"> & { readonly locations: readonly string[] };

/** Where the segments are: those that the task names, or those of its run. */
async function segmentLocations(run: TaskRun, given: Given): Promise<Located> {
  const count = valueOf<number>(given, "num_total_segments_generated");
  const ids = valueOf<readonly string[]>(given, "segment_task_ids");
  if (ids !== undefined) {
    if (count !== undefined && count !== ids.length) {
      throw problemsError([problemOf(given, "segment_task_ids", `${count} tasks, one for each segment`, ids)]);
    }
    const locations: string[] = [];
    const notHonoured = new Map<string, NotHonoured>();
    for (const [index, id] of ids.entries()) {
      const output = await run.graph.outputOf(id);
      locations.push(locationOf(output, `segment ${index}`));
      for (const each of ignoredIn(output?.resultData)) {
        notHonoured.set(`${each.param} ${each.reason}`, each);
      }
    }
    return { locations, notHonoured: [...notHonoured.values()] };
  }
  const runId = valueOf<string>(given, "run_id");
  if (runId === undefined || count === undefined) {
    const missing = runId === undefined ? "run_id" : "num_total_segments_generated";
    throw problemsError([problemOf(given, missing, "the run and the number of its segments", undefined)]);
  }
  return { locations: await completedLocations(run, runId, count), notHonoured: [] };
}

/** What another task's result says of parameters without effect. Older workers say nothing. */
function ignoredIn(result: unknown): NotHonoured[] {
  const listed = isObject(result) ? result["not_honoured"] : undefined;
  return (Array.isArray(listed) ? listed : []).flatMap((each: unknown) =>
    isObject(each) && typeof each["param"] === "string" && typeof each["reason"] === "string"
      ? [{ param: each["param"], reason: each["reason"] }]
      : [],
  );
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
