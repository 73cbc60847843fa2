import type { Given } from "../resolved.ts";
import { valueOf } from "./given.ts";
import {
  besideDetails,
  detailsOf,
  type GraphParent,
  present,
  referenceTo,
  type SubTaskRow,
  type TaskGraph,
} from "./rows.ts";
import { structureOf, structureOfSegment } from "./structure.ts";
import { type PlannedSegment, planTravel, type TravelPlan } from "./travel.ts";

/** Values that only the whole travel has: a segment's own are planned. */
const OF_THE_TRAVEL = new Set([
  "num_new_segments_to_generate",
  "base_prompts_expanded",
  "negative_prompts_expanded",
  "enhanced_prompts_expanded",
  "segment_frames_expanded",
  "frame_overlap_expanded",
  "run_id",
  "seed_base",
  "input_image_paths_resolved",
]);
/** Beside a segment's other values these would be its own pictures instead of the run's. */
const OF_THE_RUN: ReadonlySet<string> = new Set(["input_image_paths_resolved"]);

/** The segments and the stitch of a travel whose values have no problem. */
export function travelGraph(given: Given, parent: GraphParent): TaskGraph & { readonly plan: TravelPlan } {
  const plan = planTravel(given);
  const names = new Set(Object.keys(given).filter((name) => !OF_THE_TRAVEL.has(name)));
  const shared = {
    ...besideDetails(given, parent, names),
    ...referenceTo(given, parent),
    parsed_resolution_wh: valueOf(given, "resolution"),
    chain_segments: plan.isChained,
    orchestrator_details: { ...detailsOf(parent), ...besideDetails(given, parent, OF_THE_RUN) },
  };
  const segments = plan.segments.map((segment) => segmentRow(segment, given, parent, plan, shared));
  const stitch = stitchRow(given, parent, plan, shared);
  return { plan, subTasks: [...segments, stitch], resultTaskId: stitch.id };
}

function segmentRow(
  { index, prompt, negativePrompt, frames, overlapBefore, overlapAfter, seed, at, isEnhanced }: PlannedSegment,
  given: Given,
  parent: GraphParent,
  plan: TravelPlan,
  { fps: _fps, model: _model, resolution: _resolution, ...shared }: Readonly<Record<string, unknown>>,
): SubTaskRow {
  const structure = structureOf(given);
  return {
    id: parent.idOf("travel_segment", index),
    taskType: "travel_segment",
    dependantOn: plan.isChained && index > 0 ? parent.idOf("travel_segment", index - 1) : null,
    params: present({
      ...shared,
      segment_index: index,
      is_first_segment: index === 0,
      is_last_segment: index === plan.segments.length - 1,
      base_prompt: prompt,
      negative_prompt: negativePrompt,
      segment_frames_target: frames,
      frame_overlap_from_previous: overlapBefore,
      frame_overlap_with_next: overlapAfter,
      seed_to_use: seed,
      model_name: valueOf(given, "model"),
      fps_helpers: valueOf(given, "fps"),
      ...(structure && { structure_guidance: structureOfSegment(structure, planFramesOf(plan), at) }),
      ...(isEnhanced && { enhance_prompt: false }),
    }),
  };
}

/** The frames of the travel, those included that it shares with a video that is continued. */
function planFramesOf({ segments }: TravelPlan): number {
  const last = segments.at(-1);
  return last === undefined ? 0 : last.at + last.frames;
}

function stitchRow(
  given: Given,
  parent: GraphParent,
  plan: TravelPlan,
  { fps: _fps, model: _model, resolution: _resolution, ...shared }: Readonly<Record<string, unknown>>,
): SubTaskRow {
  const segmentIds = plan.segments.map(({ index }) => parent.idOf("travel_segment", index));
  return {
    id: parent.idOf("travel_stitch", 0),
    taskType: "travel_stitch",
    // The last of a chain is complete only when all are.
    ...(plan.isChained
      ? { dependantOn: segmentIds.at(-1) ?? null }
      : { dependantOn: null, afterSiblings: true as const }),
    params: present({
      ...shared,
      num_total_segments_generated: plan.segments.length,
      segment_task_ids: segmentIds,
      frame_overlap_settings_expanded: plan.overlaps,
      fps_final_video: valueOf(given, "fps"),
      crossfade_sharp_amt: valueOf(given, "crossfade_sharp_amt"),
      upscale_factor: valueOf(given, "upscale_factor"),
      upscale_model_name: valueOf(given, "upscale_model_name"),
      initial_continued_video_path: valueOf(given, "continue_from_video_resolved_path"),
    }),
  };
}
