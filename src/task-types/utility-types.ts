import { fps, RESOLUTION, SIDE } from "./generation-parameters.ts";
import {
  BOOLEAN,
  FILLED_TEXT,
  FRAMES_OF_EACH,
  integer,
  LIST,
  oneOf,
  OVERLAPS,
  PICTURE,
  PICTURES,
  TEXT,
  VIDEO,
} from "./kinds.ts";
import { optional, required } from "./parameters.ts";
import { type TaskType, WITHOUT_MODEL_SEC } from "./task-type.ts";

type Row = Pick<TaskType, "name" | "meaning" | "parameters" | "needs" | "doers"> & Partial<TaskType>;

function utility(row: Row): TaskType {
  const limits = { stuckTimeoutSec: null, expectedSec: null };
  return { kind: "utility", aliases: [], oneOf: [], side: SIDE, model: null, ...limits, ...row };
}

const OF_PICTURE = [
  optional("input_image_path", PICTURE, "the picture", { aliases: ["image", "image_url"] }),
  optional("input_image_task_id", FILLED_TEXT, "or the task that makes it"),
];
const ONE_PICTURE = [["input_image_path", "input_image_task_id"]];
const APPROXIMATE = optional("allow_approximate", BOOLEAN, "whether ffmpeg may replace the model", { fallback: false });

export const UTILITY_TYPES: readonly TaskType[] = [
  utility({
    name: "generate_openpose",
    meaning: "the pose of the people in a picture",
    needs: ["engine"],
    parameters: OF_PICTURE,
    oneOf: ONE_PICTURE,
    doers: ["gpu-worker", "headless-wan2gp-2025-08"],
  }),
  utility({
    name: "generate_depth",
    meaning: "the depth of a picture",
    needs: ["engine"],
    parameters: OF_PICTURE,
    oneOf: ONE_PICTURE,
    doers: ["gpu-worker"],
  }),
  utility({
    name: "rife_interpolate_images",
    meaning: "frames between two pictures",
    needs: ["engine", "ffmpeg"],
    parameters: [
      required("input_image_path1", PICTURE, "the first picture"),
      required("input_image_path2", PICTURE, "the last picture"),
      required("frames", integer(2, 10_000), "length in frames", { aliases: ["video_length"] }),
      RESOLUTION,
      fps(16),
      APPROXIMATE,
      optional("output_path", TEXT, "where an older worker writes the video"),
    ],
    doers: ["gpu-worker", "headless-wan2gp", "headless-wan2gp-2025-08"],
  }),
  utility({
    name: "extract_frame",
    meaning: "one frame of a video",
    needs: ["ffmpeg"],
    expectedSec: WITHOUT_MODEL_SEC,
    parameters: [
      optional("input_video_task_id", FILLED_TEXT, "the task that makes the video"),
      optional("input_video_path", VIDEO, "or the video", { aliases: ["video_path", "video_url"] }),
      optional("frame_index", integer(-1), "from 0; -1 is the last", { fallback: 0 }),
    ],
    oneOf: [["input_video_task_id", "input_video_path"]],
    doers: ["gpu-worker", "headless-wan2gp", "headless-wan2gp-2025-08"],
  }),
  utility({
    name: "create_visualization",
    meaning: "how a travel was made, side by side",
    needs: ["ffmpeg"],
    parameters: [
      required("output_video_path", VIDEO, "the result of the travel"),
      required("structure_video_path", VIDEO, "the video that guided it"),
      required("input_image_paths", PICTURES, "its pictures", { aliases: ["input_image_paths_resolved"] }),
      required("segment_frames", FRAMES_OF_EACH, "a length in frames for each segment", {
        aliases: ["segment_frames_expanded"],
      }),
      optional("guidance_video_path", VIDEO, "the guide as the model got it"),
      optional("segment_prompts", LIST, "a prompt for each segment"),
      optional("frame_overlaps", OVERLAPS, "frames that neighbours share"),
      optional("layout", oneOf("side_by_side", "triple", "grid", "vertical"), "how the parts are laid out", {
        fallback: "triple",
      }),
      optional("show_guidance", BOOLEAN, "whether the guide is shown", { fallback: false }),
      optional("structure_video_treatment", oneOf("adjust", "clip"), "how the guiding video is fitted", {
        fallback: "adjust",
      }),
      fps(16),
    ],
    doers: ["gpu-worker", "headless-wan2gp"],
  }),
];
