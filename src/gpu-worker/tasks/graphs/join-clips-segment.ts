import { problemOf, valueOf } from "../../../task-types/graphs/given.ts";
import { isSeamProblem, type SeamProblem } from "../../../task-types/graphs/seam.ts";
import type { Given, Problem } from "../../../task-types/resolved.ts";
import { sizeOf } from "../../../task-types/size.ts";
import type { Handler, InputFile, TaskRun } from "../handler.ts";
import { prepareClip, shapeOf, type Shape } from "./clips.ts";
import { givenOf, locationOf, problemsError } from "./graph-run.ts";
import { planJob, renderSeam, type SeamJob, type Side } from "./seam-render.ts";

/** One seam between two clips, or new frames at the edge of one. */
export const joinClipsSegment: Handler = async (run) => {
  const given = givenOf(run);
  const [before, after] = [await clipBefore(run, given), await clipAfter(run, given)];
  const known = before ?? after;
  if (known === null) {
    const nothing = problemOf(given, "ending_video_path", "the clip before or the clip after", undefined);
    throw problemsError([nothing]);
  }
  const shape = shapeFor(given, shapeOf(known, before === null ? "ending_video_path" : "starting_video_path"));
  const job: SeamJob = {
    before: await sideOf(run, before, "before", shape),
    after: await sideOf(run, after, "after", shape),
    context: valueOf<number>(given, "context_frame_count") ?? 1,
    gap: valueOf<number>(given, "gap_frame_count") ?? 1,
    replace: valueOf<boolean>(given, "replace_mode") ?? false,
    closesLoop: valueOf<boolean>(given, "closes_loop") ?? false,
    shape,
  };
  const plan = planJob(given, job);
  if (isSeamProblem(plan)) {
    throw problemsError([seamProblem(given, plan, job)]);
  }
  const { main, frames, generated, expected } = await renderSeam(run, given, job, plan);
  const { modelUsed: model, notHonoured } = generated;
  const result = { join_index: valueOf(given, "join_index"), gap_frames: job.gap, total_frames: frames };
  return { kind: "files", main, expected, model, notHonoured, result };
};

/** The size and rate that were asked for, else those of the clip. */
export function shapeFor(given: Given, clip: Shape): Shape {
  const size = valueOf<string>(given, "resolution");
  return { size: size === undefined ? clip.size : sizeOf(size), fps: valueOf<number>(given, "fps") ?? clip.fps };
}

async function clipBefore(run: TaskRun, given: Given): Promise<InputFile | null> {
  const named = valueOf<string>(given, "starting_video_path");
  if (named !== undefined) {
    return await run.inputs.fetch("starting_video_path", named, "video");
  }
  const output = await run.graph.predecessorOutput();
  // Only the first join may be at the beginning of the video.
  if (output === null && (valueOf<number>(given, "join_index") ?? 0) === 0) {
    return null;
  }
  return await run.inputs.fetch("dependant_on", locationOf(output, "the join before"), "video");
}

async function clipAfter(run: TaskRun, given: Given): Promise<InputFile | null> {
  const named = valueOf<string>(given, "ending_video_path");
  return named === undefined ? null : await run.inputs.fetch("ending_video_path", named, "video");
}

async function sideOf(run: TaskRun, clip: InputFile | null, name: string, shape: Shape): Promise<Side | null> {
  if (clip === null) {
    return null;
  }
  const { path, frames, hasAudio } = await prepareClip(run, clip, name, shape);
  return { path, hasAudio, range: { start: 0, end: frames } };
}

function seamProblem(
  given: Given,
  { wrong, expected: allowed }: SeamProblem,
  { before, after, gap }: SeamJob,
): Problem {
  const frames = (side: Side | null) => `${side === null ? 0 : side.range.end - side.range.start} frames`;
  const names = {
    before: "starting_video_path",
    after: "ending_video_path",
    gap: "gap_frame_count",
    clips: "ending_video_path",
  };
  const got = { before: frames(before), after: frames(after), gap, clips: undefined }[wrong];
  return problemOf(given, names[wrong], allowed, got);
}
