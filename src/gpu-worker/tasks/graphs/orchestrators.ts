import { join } from "node:path";
import { gridOf, snapSide } from "../../../task-types/grid.ts";
import { planEdit, type EditPlan } from "../../../task-types/graphs/edit.ts";
import { problemOf, valueOf } from "../../../task-types/graphs/given.ts";
import { type Clip, closesLoop, joinGraph, type Joins, joinsOf, planJoins } from "../../../task-types/graphs/join.ts";
import { perspectiveGraph } from "../../../task-types/graphs/perspective.ts";
import { travelGraph } from "../../../task-types/graphs/travel-graph.ts";
import type { Given } from "../../../task-types/resolved.ts";
import { type Size, textOf } from "../../../task-types/size.ts";
import { cutVideo } from "../../video/cut.ts";
import { reverseVideo } from "../../video/reverse.ts";
import { resampledFrames } from "../../video/frames/arithmetic.ts";
import type { Handler, InputFile, TaskRun } from "../handler.ts";
import { prepareClip, type PreparedClip, shapeOf, type Shape } from "./clips.ts";
import { delegated, givenOf, parentOf, problemsError } from "./graph-run.ts";
import { shapeFor } from "./join-clips-segment.ts";

export const travelOrchestrator: Handler = async (run) => {
  const given = givenOf(run);
  const { plan, ...graph } = travelGraph(given, parentOf(run));
  await checkContinued(run, given, plan.overlaps[0] ?? 0);
  const { frames, overlaps, adjustments, isChained, segments } = plan;
  const lengths = segments.map((segment) => segment.frames);
  run.logger.info({ category: "FRAME_DEBUG", lengths, overlaps, frames, isChained, adjustments }, "travel planned");
  return delegated(graph);
};

/** A video that is too short for its seam is found before anything is generated. */
async function checkContinued(run: TaskRun, given: Given, overlap: number): Promise<void> {
  const field = "continue_from_video_resolved_path";
  const file = valueOf<string>(given, field);
  if (file === undefined) {
    return;
  }
  const video = await run.inputs.fetch(field, file, "video");
  const frames = framesAt(video, shapeOf(video, field), Number(valueOf(given, "fps")));
  if (frames < overlap) {
    throw problemsError([
      problemOf(given, field, `a video of at least ${overlap} frames, its overlap`, `${frames} frames`),
    ]);
  }
}

export const perspectiveOrchestrator: Handler = async (run) => {
  const given = givenOf(run);
  const asked = valueOf<string>(given, "resolution");
  const picture = await run.inputs.fetch("input_image_path", String(valueOf(given, "input_image_path")), "picture");
  const size = asked ?? textOf(snapped(given, shapeOf({ ...picture, fps: 1 }, "input_image_path").size));
  return delegated(perspectiveGraph(given, parentOf(run), size));
};

export const joinClipsOrchestrator: Handler = async (run) => {
  const given = givenOf(run);
  const listed = valueOf<readonly { readonly url: string }[]>(given, "clip_list") ?? [];
  const fetched: InputFile[] = [];
  for (const [index, { url }] of listed.entries()) {
    fetched.push(await run.inputs.fetch(`clip_list[${index}].url`, url, "video"));
    run.progress((index + 1) / listed.length, `${index + 1} of ${listed.length} clips fetched`);
  }
  const [first] = fetched;
  const shape = shapeFor(given, shapeOf(first as InputFile, "clip_list[0].url"));
  const clips = fetched.map((clip, index): Clip => {
    const at = `[${index}].url`;
    const frames = framesAt(clip, shapeOf(clip, `clip_list${at}`), shape.fps);
    return { file: listed[index]?.url ?? null, frames, field: ["clip_list", at] };
  });
  const joins = joinsOf(given);
  const [only, other] = clips;
  if (only === undefined || other !== undefined) {
    return delegateJoins(run, given, clips, { joins, closesLoop: closesLoop(given) }, shape);
  }
  const forthAndBack = [only, { ...only, file: await storeReversed(run, first as InputFile) }];
  return delegateJoins(run, given, forthAndBack, { joins, closesLoop: false }, shape);
};

/** A clip backwards, in storage, where any worker finds it. */
async function storeReversed(run: TaskRun, { path, frames }: InputFile): Promise<string> {
  const target = join(run.workDir, `${run.basename}_reversed.mp4`);
  await reverseVideo(run.ffmpeg, path, target);
  await run.debug.measure("SEGMENT_DEBUG", "the clip backwards", target, frames === null ? {} : { frames });
  return await run.store(target);
}

/** Keeps what stays of a video as clips in storage, where any worker finds them, and joins these by new frames. */
export const editVideoOrchestrator: Handler = async (run) => {
  const given = givenOf(run);
  const source = await run.inputs.fetch("source_video_url", String(valueOf(given, "source_video_url")), "video");
  const shape = shapeFor(given, shapeOf(source, "source_video_url"));
  // The numbers of frames are those of the video as it is given.
  const video = await prepareClip(run, source, "source", { ...shape, fps: source.fps ?? shape.fps });
  const plan = planEdit(given, video.frames);
  if (!("keepers" in plan)) {
    throw problemsError(plan);
  }
  // The joins are checked before anything is stored.
  const clips = plan.keepers.map((range): Clip => {
    const frames = range === null ? 0 : range.end - range.start;
    return { file: null, frames, field: ["portions_to_regenerate", ""] };
  });
  const joins = { joins: plan.joins, closesLoop: false };
  checkJoins(given, clips, joins, shape);
  const stored = await storeKeepers(run, plan, video);
  const kept = clips.map((clip, index) => ({ ...clip, file: stored[index] ?? null }));
  return delegateJoins(run, given, kept, joins, shape);
};

async function storeKeepers(run: TaskRun, { keepers }: EditPlan, { path }: PreparedClip): Promise<(string | null)[]> {
  const stored: (string | null)[] = [];
  for (const [index, range] of keepers.entries()) {
    if (range === null) {
      stored.push(null);
      continue;
    }
    const target = join(run.workDir, `${run.basename}_keeper${index}.mp4`);
    await cutVideo(run.ffmpeg, path, range, target);
    await run.debug.measure("SEGMENT_DEBUG", `part ${index} that stays`, target, { frames: range.end - range.start });
    stored.push(await run.store(target));
    run.progress((index + 1) / keepers.length, `${index + 1} of ${keepers.length} parts stored`);
  }
  return stored;
}

type SomeJoins = Pick<Joins, "joins" | "closesLoop">;

function joinsWith(clips: readonly Clip[], joins: SomeJoins, { size, fps }: Shape): Joins {
  return { clips, ...joins, size: textOf(size), fps };
}

function checkJoins(given: Given, clips: readonly Clip[], joins: SomeJoins, shape: Shape): number[] {
  const lengths = planJoins(given, joinsWith(clips, joins, shape));
  const problems = lengths.filter((each) => typeof each !== "number");
  if (problems.length > 0) {
    throw problemsError(problems);
  }
  return lengths.filter((each) => typeof each === "number");
}

function delegateJoins(run: TaskRun, given: Given, clips: readonly Clip[], joins: SomeJoins, shape: Shape) {
  const lengths = checkJoins(given, clips, joins, shape);
  run.logger.info({ category: "FRAME_DEBUG", clips: clips.map(({ frames }) => frames), lengths }, "joins planned");
  return delegated(joinGraph(given, parentOf(run), joinsWith(clips, joins, shape)));
}

function framesAt(clip: InputFile, own: Shape, fps: number): number {
  const frames = clip.frames ?? 0;
  return Math.abs(own.fps - fps) < 0.01 ? frames : resampledFrames(frames, own.fps, fps).length;
}

function snapped(given: Given, { width, height }: Size): Size {
  const grid = gridOf(valueOf(given, "model"));
  return { width: snapSide(width, grid), height: snapSide(height, grid) };
}
