import { rename } from "node:fs/promises";
import { join } from "node:path";
import { type NamedFile, planSegment, type SegmentPlan } from "../../../task-types/graphs/segment.ts";
import { valueOf } from "../../../task-types/graphs/given.ts";
import { sizeOf } from "../../../task-types/size.ts";
import { adjustVideo } from "../../video/adjust.ts";
import { type GuideLayer, writeGuideVideo } from "../../video/guide-video.ts";
import { writeMaskVideo } from "../../video/mask-video.ts";
import type { FileKind } from "../../../task-types/kinds.ts";
import type { Handler, TaskRun } from "../handler.ts";
import { ParamsError } from "../params-error.ts";
import { prepareClip, type PreparedClip, type Shape } from "./clips.ts";
import { generateVideo } from "./generate.ts";
import { givenOf, locationOf } from "./graph-run.ts";

const FETCHED = 0.05;
const PREPARED = 0.1;
const GENERATED = 0.95;

/** The files of a segment on this machine. */
interface SegmentFiles {
  /** Exactly the frames that the segment shares with the one before it are used of it. */
  readonly previous: PreparedClip | null;
  readonly start: string | null;
  readonly end: string | null;
  readonly refs: readonly string[];
  readonly guide: string | null;
  readonly mask: string | null;
}

/** A segment of a travel, in its graph or by itself. */
export const travelSegment: Handler = async (run) => {
  const given = givenOf(run);
  const plan = planSegment(given);
  const shape: Shape = { size: sizeOf(String(valueOf(given, "resolution"))), fps: Number(valueOf(given, "fps")) };
  run.logger.info({ category: "SEGMENT_DEBUG", plan, ...shape }, "segment planned");
  const files = await fetchFiles(run, plan, shape);
  run.progress(FETCHED, "input files fetched");
  const inputs = await engineInputs(run, plan, files, shape);
  run.progress(PREPARED, "guide and mask written");
  const generated = await generateVideo(run, given, {
    ...shape,
    frames: plan.frames,
    inputs: { ...inputs, video_prompt_type: plan.videoPromptType },
    from: PREPARED,
    to: GENERATED,
  });
  const main = await finishSegment(run, plan, generated.files[0]);
  const { modelUsed: model, notHonoured } = generated;
  return { kind: "files", main, model, notHonoured, result: { segment_index: plan.index } };
};

async function finishSegment(run: TaskRun, { saturation, brightness }: SegmentPlan, made: string): Promise<string> {
  const main = join(run.workDir, `${run.basename}.mp4`);
  if (saturation === 1 && brightness === 0) {
    await rename(made, main);
  } else {
    await adjustVideo(run.ffmpeg, made, { saturation, brightness }, main);
  }
  return main;
}

async function fetchFiles(run: TaskRun, plan: SegmentPlan, shape: Shape): Promise<SegmentFiles> {
  const path = async (named: NamedFile | null, kind: FileKind) =>
    named === null ? null : (await run.inputs.fetch(named.field, named.file, kind)).path;
  const refs: string[] = [];
  for (const ref of plan.refs) {
    refs.push((await run.inputs.fetch(ref.field, ref.file, "picture")).path);
  }
  return {
    previous: await fetchPrevious(run, plan, shape),
    start: await path(plan.start, "picture"),
    end: await path(plan.end, "picture"),
    refs,
    guide: await path(plan.guide, "video"),
    mask: await path(plan.mask, "video"),
  };
}

async function fetchPrevious(run: TaskRun, { previous }: SegmentPlan, shape: Shape): Promise<PreparedClip | null> {
  if (previous === null) {
    return null;
  }
  const { from, frames } = previous;
  const [field, file] =
    from === "predecessor"
      ? ["dependant_on", locationOf(await run.graph.predecessorOutput(), "the segment before")]
      : [from.field, from.file];
  const clip = await prepareClip(run, await run.inputs.fetch(field, file, "video"), "previous", shape);
  if (clip.frames < frames) {
    throw new ParamsError(
      `params.frame_overlap_from_previous: expected at most ${clip.frames}, the frames of what comes before, got ${frames}`,
    );
  }
  return clip;
}

/** What the model gets, by the parameters' names. */
async function engineInputs(run: TaskRun, plan: SegmentPlan, files: SegmentFiles, shape: Shape) {
  const refs = files.refs.length > 0 ? files.refs : null;
  if (!plan.usesVace || files.guide !== null) {
    const source = files.previous === null ? null : await lastFrames(run, plan, files.previous, shape);
    return {
      video_guide: files.guide,
      video_mask: files.mask,
      image_refs: refs,
      image_start: files.start,
      image_end: files.end,
      video_source: source,
    };
  }
  const guide = join(run.workDir, "guide.mp4");
  const mask = files.mask ?? join(run.workDir, "mask.mp4");
  const common = { ...shape, frames: plan.frames };
  await writeGuideVideo(run.ffmpeg, { ...common, target: guide, layers: layersOf(plan, files) });
  if (files.mask === null) {
    await writeMaskVideo(run.ffmpeg, { ...common, target: mask, kept: plan.kept });
  }
  return { video_guide: guide, video_mask: mask, image_refs: refs };
}

function layersOf({ frames, previous }: SegmentPlan, files: SegmentFiles): GuideLayer[] {
  const layers: GuideLayer[] = [];
  // The last frame of a long overlap is the last picture as well; the frames before were made with it.
  if (files.end !== null) {
    layers.push({ path: files.end, at: frames - 1 });
  }
  if (files.start !== null) {
    layers.push({ path: files.start, at: 0 });
  }
  if (files.previous !== null && previous !== null) {
    layers.push({ path: files.previous.path, at: 0, frames: previous.frames, from: -previous.frames });
  }
  return layers;
}

/** The frames that a model without a guide continues. */
async function lastFrames(run: TaskRun, { previous }: SegmentPlan, clip: PreparedClip, { size, fps }: Shape) {
  const frames = previous?.frames ?? 0;
  const target = join(run.workDir, "source.mp4");
  const layer = { path: clip.path, at: 0, frames, from: -frames };
  await writeGuideVideo(run.ffmpeg, { target, size, fps, frames, layers: [layer] });
  return target;
}
