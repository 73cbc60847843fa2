import { join } from "node:path";
import { gridOf, snapSide } from "../../../task-types/grid.ts";
import { planSeam, type SeamPlan, type SeamProblem } from "../../../task-types/graphs/seam.ts";
import type { Frames } from "../../../task-types/graphs/segment.ts";
import { valueOf } from "../../../task-types/graphs/given.ts";
import type { Given } from "../../../task-types/resolved.ts";
import type { Expected } from "../../debug/debug.ts";
import type { Generated } from "../../engines/engine.ts";
import { type GuideLayer, writeGuideVideo } from "../../video/guide-video.ts";
import { writeMaskVideo } from "../../video/mask-video.ts";
import { stitchVideos, type StitchPart } from "../../video/stitch.ts";
import type { TaskRun } from "../handler.ts";
import type { Shape } from "./clips.ts";
import { generateVideo } from "./generate.ts";

/** Frames of a video on one side of a seam. */
export interface Side {
  readonly path: string;
  readonly hasAudio: boolean;
  readonly range: Frames;
}

export interface SeamJob {
  /** Null: the new frames are at the edge. */
  readonly before: Side | null;
  readonly after: Side | null;
  readonly context: number;
  readonly gap: number;
  readonly replace: boolean;
  /** Whether the side after is the beginning of the side before, and not repeated. */
  readonly closesLoop: boolean;
  /** Of the result, and of both sides. */
  readonly shape: Shape;
}

interface RenderedSeam {
  readonly main: string;
  readonly frames: number;
  readonly generated: Generated;
  readonly expected: Expected;
}

const PREPARED = 0.15;
const GENERATED = 0.8;

export function planJob(given: Given, { before, after, context, gap, replace }: SeamJob): SeamPlan | SeamProblem {
  const seam = { before: lengthOf(before), after: lengthOf(after), context, gap, replace };
  return planSeam(seam, gridOf(valueOf(given, "model")));
}

/**
 * Makes the new frames between two sides and puts all together: the frames that the model has seen are cross-faded with what it made
 * of them.
 */
export async function renderSeam(run: TaskRun, given: Given, job: SeamJob, plan: SeamPlan): Promise<RenderedSeam> {
  const { workDir, basename, ffmpeg, logger, progress, debug } = run;
  const shape = engineShape(given, job.shape);
  logger.info({ category: "SEGMENT_DEBUG", plan, ...shape }, "seam planned");
  const [guide, mask] = [join(workDir, "guide.mp4"), join(workDir, "mask.mp4")];
  const common = { ...shape, frames: plan.frames };
  const head = plan.cutBefore + plan.contextBefore;
  const tail = plan.frames - plan.cutAfter - plan.contextAfter;
  await writeGuideVideo(ffmpeg, { ...common, target: guide, layers: layersOf(job, plan, tail) });
  const kept = [
    { start: plan.cutBefore, end: head },
    { start: tail, end: plan.frames - plan.cutAfter },
  ].filter(({ start, end }) => start < end);
  await writeMaskVideo(ffmpeg, { ...common, target: mask, kept });
  const { frames: planned, fps, size: engineSize } = common;
  await debug.measure("SEGMENT_DEBUG", "the guide", guide, { frames: planned, fps, ...engineSize });
  await debug.measure("SEGMENT_DEBUG", "the mask", mask, { frames: planned, fps, ...engineSize });
  progress(PREPARED, "guide and mask written");

  const inputs = {
    video_guide: guide,
    video_mask: mask,
    video_prompt_type: valueOf(given, "video_prompt_type") ?? "VM",
  };
  const generated = await generateVideo(run, given, { ...common, inputs, from: PREPARED, to: GENERATED });
  const main = join(workDir, `${basename}.mp4`);
  const { parts, overlaps } = partsOf(job, plan, generated.files[0]);
  const frames = await stitchVideos(ffmpeg, parts, overlaps, {
    ...job.shape,
    target: main,
    audio: job.before?.hasAudio || job.after?.hasAudio ? "keep" : "drop",
    onFrame: (frame) =>
      progress(GENERATED + (1 - GENERATED) * Math.min(1, frame / plan.total), `joined ${frame} frames`),
  });
  const expected = job.closesLoop ? plan.total - lengthOf(job.after) : plan.total;
  if (frames !== expected) {
    throw new Error(`the joined video has ${frames} frames instead of ${expected}`);
  }
  return { main, frames, generated, expected: { frames, fps: job.shape.fps, ...job.shape.size } };
}

/** What the model makes is of its grid; the result has the size of the clips. */
function engineShape(given: Given, { size, fps }: Shape): Shape {
  const grid = gridOf(valueOf(given, "model"));
  return { fps, size: { width: snapSide(size.width, grid), height: snapSide(size.height, grid) } };
}

function layersOf({ before, after }: SeamJob, plan: SeamPlan, tail: number): GuideLayer[] {
  const { contextBefore, contextAfter, replacedBefore, replacedAfter, cutBefore } = plan;
  const layers: GuideLayer[] = [];
  if (before !== null && contextBefore > 0) {
    const from = before.range.end - replacedBefore - contextBefore;
    layers.push({ path: before.path, at: cutBefore, frames: contextBefore, from, fit: "stretch" });
  }
  if (after !== null && contextAfter > 0) {
    const from = after.range.start + replacedAfter;
    layers.push({ path: after.path, at: tail, frames: contextAfter, from, fit: "stretch" });
  }
  return layers;
}

function partsOf({ before, after, closesLoop }: SeamJob, plan: SeamPlan, transition: string) {
  const parts: StitchPart[] = [];
  const overlaps: number[] = [];
  const add = (path: string, start: number, end: number) => parts.push({ path, range: { start, end }, frames: end });
  if (before !== null) {
    const start = before.range.start + (closesLoop ? plan.replacedAfter : 0);
    add(before.path, start, before.range.end - plan.replacedBefore);
    overlaps.push(plan.contextBefore);
  }
  add(transition, plan.cutBefore, plan.frames - plan.cutAfter - (closesLoop ? plan.contextAfter : 0));
  if (after !== null && !closesLoop) {
    add(after.path, after.range.start + plan.replacedAfter, after.range.end);
    overlaps.push(plan.contextAfter);
  }
  return { parts, overlaps };
}

function lengthOf(side: Side | null): number {
  return side === null ? 0 : side.range.end - side.range.start;
}
