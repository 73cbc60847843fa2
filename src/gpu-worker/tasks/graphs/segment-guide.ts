import { join } from "node:path";
import type { SegmentPlan } from "../../../task-types/graphs/segment.ts";
import { structureOf } from "../../../task-types/graphs/structure.ts";
import type { Given } from "../../../task-types/resolved.ts";
import type { NotHonoured } from "../../engines/engine.ts";
import { type GuideLayer, writeGuideVideo } from "../../video/guide-video.ts";
import { writeMaskVideo } from "../../video/mask-video.ts";
import type { TaskRun } from "../handler.ts";
import type { PreparedClip, Shape } from "./clips.ts";
import type { Between } from "./segment-finish.ts";
import { structureLayers, uni3cInputs } from "./structure-guide.ts";

/** The files of a segment on this machine. */
export interface SegmentFiles {
  /** Exactly the frames that the segment shares with the one before it are used of it. */
  readonly previous: PreparedClip | null;
  readonly start: string | null;
  readonly end: string | null;
  /** The pictures between which it lies, where something needs them. */
  readonly between: Between;
  readonly refs: readonly string[];
  readonly guide: string | null;
  readonly mask: string | null;
  readonly guide2: string | null;
  readonly mask2: string | null;
}

const OF_OWN_GUIDE = [
  "fade_in_params_json_str",
  "fade_out_params_json_str",
  "subsequent_starting_strength_adjustment",
  "desaturate_subsequent_starting_frames",
  "adjust_brightness_subsequent_starting_frames",
];
const OF_STRUCTURE = ["structure_guidance", "structure_videos", "structure_video_path", "structure_guidance_video_url"];

/** What the model gets, by the parameters' names. */
export async function engineInputs(run: TaskRun, plan: SegmentPlan, files: SegmentFiles, shape: Shape) {
  const { structure, frames } = plan;
  const common = {
    image_refs: files.refs.length > 0 ? files.refs : null,
    video_guide2: files.guide2,
    video_mask2: files.mask2,
    ...(structure?.target === "uni3c" && (await uni3cInputs(run, structure, frames, shape))),
  };
  if (!plan.usesVace || files.guide !== null) {
    const source = files.previous === null ? null : await lastFrames(run, plan, files.previous, shape);
    return {
      ...common,
      video_guide: files.guide,
      video_mask: files.mask,
      image_start: files.start,
      image_end: files.end,
      video_source: source,
    };
  }
  const guide = join(run.workDir, "guide.mp4");
  const mask = files.mask ?? join(run.workDir, "mask.mp4");
  const expected = { frames, fps: shape.fps, ...shape.size };
  const below = structure?.target === "vace" ? await structureLayers(run, structure, frames, shape) : [];
  await writeGuideVideo(run.ffmpeg, { ...shape, frames, target: guide, layers: [...below, ...layersOf(plan, files)] });
  await run.debug.measure("SEGMENT_DEBUG", "the guide", guide, expected);
  if (files.mask === null) {
    await writeMaskVideo(run.ffmpeg, { ...shape, frames, target: mask, kept: plan.kept });
  }
  await run.debug.measure("SEGMENT_DEBUG", "the mask", mask, expected);
  return { ...common, video_guide: guide, video_mask: mask };
}

function layersOf({ frames, previous, strengths, previousLook }: SegmentPlan, files: SegmentFiles): GuideLayer[] {
  const layers: GuideLayer[] = [];
  if (files.start !== null) {
    layers.push({ path: files.start, at: 0, frames: strengths.start.length, strength: strengths.start });
  }
  // The last frame of a long overlap is the last picture as well; the frames before were made with it.
  if (files.end !== null) {
    const { length } = strengths.end;
    layers.push({ path: files.end, at: frames - length, frames: length, strength: strengths.end });
  }
  if (files.previous !== null && previous !== null) {
    const { frames: shared } = previous;
    const part = { at: 0, frames: shared, from: -shared, strength: strengths.previous };
    layers.push({ path: files.previous.path, ...part, ...previousLook });
  }
  return layers;
}

/** The frames that a model without a guide continues. */
async function lastFrames(run: TaskRun, { previous }: SegmentPlan, clip: PreparedClip, { size, fps }: Shape) {
  const frames = previous?.frames ?? 0;
  const target = join(run.workDir, "source.mp4");
  const layer = { path: clip.path, at: 0, frames, from: -frames };
  await writeGuideVideo(run.ffmpeg, { target, size, fps, frames, layers: [layer] });
  await run.debug.measure("SEGMENT_DEBUG", "the video to continue", target, { frames, fps, ...size });
  return target;
}

/** Parameters that were given and have no effect on how the model is guided, with the reason. */
export function withoutEffect(given: Given, plan: SegmentPlan): NotHonoured[] {
  const ignored = (names: readonly string[], reason: string) =>
    names.filter((name) => given[name] !== undefined).map((param) => ({ param, reason }));
  const reason = plan.guide === null ? "the model follows no guide" : "the task has a guide of its own";
  const hasOwnGuide = plan.usesVace && plan.guide === null;
  const { structure } = plan;
  const strengthless = structure?.target === "vace" && structure.preprocessing !== "flow" && structure.strength !== 1;
  return [
    ...(hasOwnGuide ? [] : ignored(OF_OWN_GUIDE, reason)),
    ...(structure === null && structureOf(given) !== null ? ignored(OF_STRUCTURE, reason) : []),
    ...(strengthless ? [{ param: "structure_guidance.strength", reason: "only motion (flow) has a strength" }] : []),
  ];
}
