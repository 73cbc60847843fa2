import type { Given } from "../../../task-types/resolved.ts";
import type { Generated } from "../../engines/engine.ts";
import type { TaskRun } from "../handler.ts";
import type { Shape } from "./clips.ts";

/** Parameters that say where a task is in its graph, or which files it is made from; those are given to the engine as they were prepared. */
export const NOT_FOR_THE_ENGINE: ReadonlySet<string> = new Set(
  `run_id segment_index is_first_segment is_last_segment frame_overlap_from_previous frame_overlap_with_next
  chain_segments independent_segments model_type after_first_post_generation_saturation
  after_first_post_generation_brightness colour_match_videos show_input_images
  fade_in_params_json_str fade_out_params_json_str subsequent_starting_strength_adjustment
  desaturate_subsequent_starting_frames adjust_brightness_subsequent_starting_frames
  structure_guidance structure_videos structure_video_path structure_video_treatment structure_type
  structure_video_motion_strength structure_canny_intensity structure_depth_contrast structure_guidance_video_url
  structure_guidance_frame_offset
  input_image_paths_resolved continue_from_video_resolved_path vace_image_refs_to_prepare_by_worker
  image_start image_end image_refs video_guide video_mask video_guide2 video_mask2 video_source
  starting_video_path ending_video_path join_index is_first_join is_last_join closes_loop replace_mode
  context_frame_count gap_frame_count video_path inpaint_start_frame inpaint_end_frame
  dp_orchestrator_payload input_image_path perspective_type output_video_frames use_mask_for_first_frame
  debug_mode_enabled skip_cleanup_enabled`.split(/\s+/),
);

export interface Wanted extends Shape {
  readonly frames: number;
  /** What the model follows: local paths and what they mean. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Where the engine's part of the task's progress lies. */
  readonly from: number;
  readonly to: number;
}

/**
 * Lets the engine make a video of exactly the wanted frames.
 * @throws Error when it has made another number: whatever is built on it would lose or repeat frames
 */
export async function generateVideo(run: TaskRun, given: Given, wanted: Wanted): Promise<Generated> {
  const { engine, type, values, workDir, basename, signal, debug, progress } = run;
  const { frames, fps, size, inputs, from, to } = wanted;
  const own = Object.fromEntries(Object.entries(values).filter(([name]) => !NOT_FOR_THE_ENGINE.has(name)));
  const generated = await engine.generate({
    taskType: type.name,
    model: String(given["model"]?.value),
    values: {
      ...own,
      video_length: frames,
      fps,
      resolution: `${size.width}x${size.height}`,
      ...Object.fromEntries(Object.entries(inputs).filter(([, value]) => value !== null && value !== undefined)),
    },
    make: { kind: "video", frames, fps, ...size },
    outputDir: workDir,
    basename: `${basename}_generated`,
    signal,
    onProgress: (fraction, message) => progress(from + fraction * (to - from), message),
  });
  const made = await debug.factsOf(generated.files[0]);
  if (made.frames !== frames) {
    throw new Error(`the engine ${engine.name} made ${made.frames} frames instead of ${frames}`);
  }
  return generated;
}
