import { problemOf, valueOf } from "../../../task-types/graphs/given.ts";
import { isSeamProblem } from "../../../task-types/graphs/seam.ts";
import type { Given, Problem } from "../../../task-types/resolved.ts";
import type { Handler } from "../handler.ts";
import { prepareClip, shapeOf } from "./clips.ts";
import { givenOf, problemsError } from "./graph-run.ts";
import { shapeFor } from "./join-clips-segment.ts";
import { planJob, renderSeam, type SeamJob } from "./seam-render.ts";

/** Some frames of a video made anew; the video keeps its length. */
export const inpaintFrames: Handler = async (run) => {
  const given = givenOf(run);
  const video = await run.inputs.fetch("video_path", String(valueOf(given, "video_path")), "video");
  const shape = shapeFor(given, shapeOf(video, "video_path"));
  const { path, frames, hasAudio } = await prepareClip(run, video, "video", shape);
  const start = valueOf<number>(given, "inpaint_start_frame") ?? 0;
  const end = valueOf<number>(given, "inpaint_end_frame") ?? 0;
  const problems = rangeProblems(given, start, end, frames);
  if (problems.length > 0) {
    throw problemsError(problems);
  }
  const job: SeamJob = {
    before: start === 0 ? null : { path, hasAudio, range: { start: 0, end: start } },
    after: end === frames ? null : { path, hasAudio, range: { start: end, end: frames } },
    context: valueOf<number>(given, "context_frame_count") ?? 1,
    gap: end - start,
    replace: false,
    closesLoop: false,
    shape,
  };
  const plan = planJob(given, job);
  if (isSeamProblem(plan)) {
    throw problemsError([
      problemOf(given, "inpaint_end_frame", `${plan.expected}, for the frames made anew`, end - start),
    ]);
  }
  const { main, generated, expected } = await renderSeam(run, given, job, plan);
  return { kind: "files", main, expected, model: generated.modelUsed, notHonoured: generated.notHonoured };
};

function rangeProblems(given: Given, start: number, end: number, frames: number): Problem[] {
  if (end > frames) {
    return [problemOf(given, "inpaint_end_frame", `at most ${frames}, the frames of the video`, end)];
  }
  if (start >= end) {
    return [problemOf(given, "inpaint_end_frame", `more than inpaint_start_frame, ${start}`, end)];
  }
  return start === 0 && end === frames
    ? [problemOf(given, "inpaint_end_frame", "a range that leaves a frame of the video", end)]
    : [];
}
