import {
  CONTEXT_FRAMES,
  CONTROL,
  fps,
  FPS_OF_INPUT,
  GAP_FRAMES,
  IMAGE_REFS,
  LORA_PARAMETERS,
  model,
  NEGATIVE_PROMPT,
  OPTIONAL_GUIDE,
  PROMPT,
  PROMPT_OR_NONE,
  RESOLUTION,
  RESOLUTION_720P,
  SAMPLING,
  SAMPLING_WITHOUT_STEPS,
  SEED_OR_RANDOM,
  SIDE,
  STEPS_BY_NAME,
  VIDEO_LENGTH,
} from "./generation-parameters.ts";
import {
  BOOLEAN,
  CLIPS,
  FILLED_TEXT,
  FRAMES_OF_EACH,
  integer,
  length,
  LIST,
  OBJECT,
  oneOf,
  OVERLAPS,
  PICTURE,
  PICTURES,
  PORTIONS,
  SEED,
  TEXT,
  TEXTS,
  VIDEO,
} from "./kinds.ts";
import { editProblems } from "./graphs/edit.ts";
import { joinClipsProblems } from "./graphs/join.ts";
import { segmentProblems } from "./graphs/segment.ts";
import { travelProblems } from "./graphs/travel.ts";
import { AFTERWARDS, CHAINING, ENHANCE, FINISHING, GUIDING, SHOW_PICTURES } from "./travel-parameters.ts";
import { optional, type Parameter, required } from "./parameters.ts";
import { type TaskType, WITHOUT_MODEL_SEC } from "./task-type.ts";

const VACE_MODEL = "vace_14B_cocktail_2_2";
const JOIN_MODEL = "wan_2_2_vace_lightning_baseline_2_2_2";

const RUN_ID = optional("run_id", FILLED_TEXT, "names the run", { aliases: ["orchestrator_run_id"] });
const KEEPING: readonly Parameter[] = [
  optional("debug_mode_enabled", BOOLEAN, "keeps what the parts have made", { aliases: ["debug_mode"] }),
  optional("skip_cleanup_enabled", BOOLEAN, "the same", { aliases: ["skip_cleanup"] }),
];
const TRAVEL_SAMPLING = [STEPS_BY_NAME, ...SAMPLING_WITHOUT_STEPS, ...LORA_PARAMETERS];

const PATHS = { aliases: ["input_image_paths"] };
const CONTINUED = optional("continue_from_video_resolved_path", VIDEO, "a video to continue");
const REFS_BY_SEGMENT = optional("vace_image_refs_to_prepare_by_worker", LIST, "pictures to refer to, by segment");
const TRAVEL: readonly Parameter[] = [
  required("num_new_segments_to_generate", integer(1, 1_000), "how many segments"),
  RUN_ID,
  optional("base_prompts_expanded", TEXTS, "a prompt for each segment"),
  optional("negative_prompts_expanded", TEXTS, "a negative prompt for each segment"),
  optional("segment_frames_expanded", FRAMES_OF_EACH, "a length in frames for each segment"),
  optional("frame_overlap_expanded", OVERLAPS, "frames that neighbours share, one number or one for each seam"),
  optional("input_image_paths_resolved", PICTURES, "the pictures to travel between", PATHS),
  CONTINUED,
  RESOLUTION_720P,
  model(VACE_MODEL),
  optional("model_type", oneOf("vace", "i2v"), "how a segment gets its pictures"),
  optional("seed_base", SEED, "the seed of the first segment", { fallback: 12_345 }),
  fps(16, "fps_helpers"),
  ...CHAINING,
  ...GUIDING,
  ...AFTERWARDS,
  ...FINISHING,
  SHOW_PICTURES,
  REFS_BY_SEGMENT,
  ENHANCE,
  optional("enhanced_prompts_expanded", TEXTS, "prompts that a model has written: each counts where it is not empty"),
  ...TRAVEL_SAMPLING,
  ...KEEPING,
];

const SEGMENT: readonly Parameter[] = [
  { ...PROMPT_OR_NONE, aliases: ["base_prompt"], perSegment: "base_prompts_expanded" },
  { ...NEGATIVE_PROMPT, perSegment: "negative_prompts_expanded" },
  { ...VIDEO_LENGTH, aliases: ["segment_frames_target", "frames"], perSegment: "segment_frames_expanded" },
  optional("segment_index", integer(0), "which segment it is, from 0", { fallback: 0 }),
  optional("is_first_segment", BOOLEAN, "whether it is the first"),
  optional("is_last_segment", BOOLEAN, "whether it is the last"),
  optional("frame_overlap_from_previous", integer(0), "frames shared with the segment before", { fallback: 0 }),
  optional("frame_overlap_with_next", integer(0), "frames shared with the next one", { fallback: 0 }),
  { ...SEED_OR_RANDOM, aliases: ["seed_to_use", "seed_base"] },
  fps(16, "fps_helpers"),
  RESOLUTION_720P,
  model(VACE_MODEL),
  optional("model_type", oneOf("vace", "i2v"), "how it gets its pictures"),
  optional("input_image_paths_resolved", PICTURES, "the pictures of the run, or of this segment", PATHS),
  optional("image_start", PICTURE, "the first picture", { aliases: ["start_image_url", "image", "image_url"] }),
  optional("image_end", PICTURE, "the last picture", { aliases: ["end_image_url"] }),
  CONTINUED,
  IMAGE_REFS,
  REFS_BY_SEGMENT,
  OPTIONAL_GUIDE,
  ...CONTROL,
  ...CHAINING,
  ...GUIDING,
  optional("structure_guidance_frame_offset", integer(0), "the first frame of the segment in the travel", {
    aliases: ["structure_motion_frame_offset"],
  }),
  ...AFTERWARDS,
  SHOW_PICTURES,
  ENHANCE,
  ...TRAVEL_SAMPLING,
  ...KEEPING,
];

const WITHOUT_GAP: readonly Parameter[] = [
  CONTEXT_FRAMES,
  PROMPT_OR_NONE,
  NEGATIVE_PROMPT,
  SEED_OR_RANDOM,
  RESOLUTION,
  FPS_OF_INPUT,
  model(JOIN_MODEL),
  ENHANCE,
  ...SAMPLING,
  ...KEEPING,
];
const JOIN = [GAP_FRAMES, ...WITHOUT_GAP];
/** Its meaning where a portion is made anew. */
const GAP_OF_PORTION: Parameter = optional(
  GAP_FRAMES.name,
  GAP_FRAMES.kind,
  "new frames of each portion; else as many as it had",
);
const REPLACE = optional("replace_mode", BOOLEAN, "whether new frames replace those at the seam", { fallback: false });

const PERSPECTIVE: readonly Parameter[] = [
  PROMPT,
  optional("input_image_path", PICTURE, "the picture", { aliases: ["image", "image_url"] }),
  optional("perspective_type", oneOf("pose", "depth"), "what guides the change", { fallback: "pose" }),
  optional("output_video_frames", length(1_000), "frames of the movement", { fallback: 17 }),
  optional("use_mask_for_first_frame", BOOLEAN, "whether the first frame stays as it is", { fallback: true }),
  fps(16, "fps_helpers"),
  RESOLUTION,
  SEED_OR_RANDOM,
  model(VACE_MODEL),
  ...SAMPLING,
  ...KEEPING,
];

type Row = Pick<TaskType, "name" | "meaning" | "parameters"> & Partial<TaskType>;

function graph(kind: TaskType["kind"], row: Row): TaskType {
  const named = row.parameters.find(({ name }) => name === "model")?.fallback;
  return {
    kind,
    aliases: [],
    oneOf: [],
    side: SIDE,
    model: typeof named === "string" ? named : null,
    needs: kind === "orchestrator" ? [] : ["engine", "ffmpeg"],
    stuckTimeoutSec: null,
    // It runs no model and waits for none of its sub-tasks: it writes their rows.
    expectedSec: kind === "orchestrator" ? WITHOUT_MODEL_SEC : null,
    doers: NEWEST,
    ...row,
  };
}

const NEWEST: TaskType["doers"] = ["gpu-worker", "headless-wan2gp"];
const BOTH_VERSIONS: TaskType["doers"] = [...NEWEST, "headless-wan2gp-2025-08"];
const OLDER: TaskType["doers"] = ["gpu-worker", "headless-wan2gp-2025-08"];

export const GRAPH_TYPES: readonly TaskType[] = [
  graph("orchestrator", {
    name: "travel_orchestrator",
    meaning: "a video that travels between pictures",
    parameters: TRAVEL,
    oneOf: [["input_image_paths_resolved", "continue_from_video_resolved_path"]],
    check: travelProblems,
    doers: BOTH_VERSIONS,
  }),
  graph("orchestrator", {
    name: "different_perspective_orchestrator",
    meaning: "a picture from another perspective",
    parameters: PERSPECTIVE,
    oneOf: [["input_image_path"]],
    doers: OLDER,
  }),
  graph("orchestrator", {
    name: "join_clips_orchestrator",
    meaning: "clips joined by new frames",
    needs: ["ffmpeg"],
    parameters: [
      required("clip_list", CLIPS, "the clips in their order"),
      RUN_ID,
      optional(
        "loop_first_clip",
        BOOLEAN,
        "whether the last clip leads to the first; one clip alone runs back to its beginning",
      ),
      optional("per_join_settings", LIST, "settings of each seam"),
      REPLACE,
      ...JOIN,
    ],
    check: joinClipsProblems,
  }),
  graph("orchestrator", {
    name: "edit_video_orchestrator",
    meaning: "a video with portions made anew",
    needs: ["ffmpeg"],
    parameters: [
      required("source_video_url", VIDEO, "the video", { aliases: ["source_video_path"] }),
      required("portions_to_regenerate", PORTIONS, "frames to make anew, the last one included"),
      RUN_ID,
      GAP_OF_PORTION,
      ...WITHOUT_GAP,
    ],
    check: editProblems,
  }),
  graph("segment", {
    name: "travel_segment",
    meaning: "a segment of a travel",
    parameters: SEGMENT,
    check: segmentProblems,
    doers: BOTH_VERSIONS,
  }),
  graph("segment", {
    name: "individual_travel_segment",
    meaning: "one such segment by itself",
    parameters: SEGMENT,
    check: segmentProblems,
  }),
  graph("segment", {
    name: "join_clips_segment",
    meaning: "one seam between two clips",
    parameters: [
      optional("starting_video_path", VIDEO, "the clip before; else the predecessor's output"),
      optional("ending_video_path", VIDEO, "the clip after"),
      optional("join_index", integer(0), "which seam it is, from 0", { fallback: 0 }),
      optional("is_first_join", BOOLEAN, "whether it is the first"),
      optional("is_last_join", BOOLEAN, "whether it is the last"),
      optional("closes_loop", BOOLEAN, "whether the clip after is the beginning, and is not repeated", {
        fallback: false,
      }),
      REPLACE,
      ...JOIN,
    ],
  }),
  graph("segment", {
    name: "inpaint_frames",
    meaning: "some frames of a video made anew",
    parameters: [
      required("video_path", VIDEO, "the video", { aliases: ["video_url"] }),
      required("inpaint_start_frame", integer(0), "the first frame to make anew"),
      required("inpaint_end_frame", integer(1), "the frame after the last one"),
      ...WITHOUT_GAP,
    ],
  }),
  graph("composite", {
    name: "travel_stitch",
    meaning: "the segments of a travel in one video",
    needs: ["ffmpeg"],
    // It fetches every segment and may upscale all of it, and an older worker says nothing meanwhile.
    stuckTimeoutSec: 7_200,
    parameters: [
      RUN_ID,
      optional("num_total_segments_generated", integer(1, 1_000), "how many segments"),
      optional("segment_task_ids", TEXTS, "their tasks, in order; else the segments of the run"),
      optional("frame_overlap_settings_expanded", OVERLAPS, "frames that neighbours share", {
        aliases: ["frame_overlap_expanded"],
      }),
      ...FINISHING,
      fps(16, "fps_final_video"),
      RESOLUTION,
      optional("initial_continued_video_path", VIDEO, "the video that is continued"),
      SHOW_PICTURES,
      optional("input_image_paths_resolved", PICTURES, "the pictures of the run, to be shown", PATHS),
      optional("final_stitched_output_path", TEXT, "where an older worker writes the video"),
      ...KEEPING,
    ],
    doers: BOTH_VERSIONS,
  }),
  graph("composite", {
    name: "dp_final_gen",
    meaning: "the last step of another perspective",
    parameters: [required("dp_orchestrator_payload", OBJECT, "the run, with its original_params"), ...PERSPECTIVE],
    doers: OLDER,
  }),
  graph("composite", {
    name: "magic_edit",
    meaning: "a picture changed by Replicate",
    needs: ["network"],
    model: "flux-kontext-dev-lora",
    parameters: [
      required("image_url", PICTURE, "the picture's URL", { aliases: ["image"] }),
      required("prompt", FILLED_TEXT, "what to change"),
      optional("in_scene", BOOLEAN, "whether the scene stays the same", { fallback: false }),
      optional("seed", SEED, "-1 is random"),
      RESOLUTION,
    ],
    doers: BOTH_VERSIONS,
  }),
];
