import { BOOLEAN, FADE, number, oneOf, STRUCTURE, STRUCTURE_VIDEOS, TEXT, VIDEO } from "./kinds.ts";
import { optional, type Parameter } from "./parameters.ts";

export const FINISHING: readonly Parameter[] = [
  optional("crossfade_sharp_amt", number(0, 1), "how much a cross-fade is sharpened", { fallback: 0.3 }),
  optional("upscale_factor", number(0, 8), "how many times the size; 0 and 1 leave it"),
  optional("upscale_model_name", TEXT, "the model for that"),
  optional("allow_approximate", BOOLEAN, "whether plain scaling may replace the model", { fallback: false }),
];
export const CHAINING: readonly Parameter[] = [
  optional("chain_segments", BOOLEAN, "whether a segment begins with the end of the one before"),
  optional("independent_segments", BOOLEAN, "the opposite, an older name"),
  optional("use_svi", BOOLEAN, "whether segments are chained by SVI"),
];
/** What is done to the frames that a model has made of a segment. */
export const AFTERWARDS: readonly Parameter[] = [
  optional(
    "after_first_post_generation_saturation",
    number(0, 3),
    "saturation from the second segment on; 1 leaves it",
  ),
  optional(
    "after_first_post_generation_brightness",
    number(-1, 10),
    "brightness from the second segment on; 0 leaves it",
  ),
  optional("colour_match_videos", BOOLEAN, "whether each segment gets the colours of its pictures", {
    aliases: ["color_match_videos"],
  }),
];
export const SHOW_PICTURES = optional("show_input_images", BOOLEAN, "whether the pictures stand above each segment");
/** What a guide of ours shows beside the pictures. */
export const GUIDING: readonly Parameter[] = [
  optional("fade_in_params_json_str", FADE, "how the last picture comes in the guide"),
  optional("fade_out_params_json_str", FADE, "how the first picture, or what comes before, goes in the guide"),
  optional("subsequent_starting_strength_adjustment", number(-1, 1), "added to the strength of the frames before"),
  optional("desaturate_subsequent_starting_frames", number(0, 1), "how grey the guide shows the frames before"),
  optional(
    "adjust_brightness_subsequent_starting_frames",
    number(-1, 10),
    "brightness of these in the guide; 0 leaves it",
  ),
  optional("structure_guidance", STRUCTURE, "videos whose structure guides, and how"),
  optional("structure_videos", STRUCTURE_VIDEOS, "these videos, the older form"),
  optional("structure_video_path", VIDEO, "one of them for the whole travel, an older form"),
  optional("structure_video_treatment", oneOf("adjust", "clip"), "how that one is fitted to the travel"),
  optional("structure_type", oneOf("flow", "canny", "depth", "raw", "uni3c"), "what is taken of them", {
    aliases: ["structure_video_type"],
  }),
  optional("structure_video_motion_strength", number(0, 10), "how strongly they guide"),
  optional("structure_canny_intensity", number(0, 10), "how bright their edges are"),
  optional("structure_depth_contrast", number(0, 10), "the contrast of their depth"),
  optional("structure_guidance_video_url", VIDEO, "a guide for the whole travel that is made already", {
    aliases: ["structure_motion_video_url"],
  }),
];
export const ENHANCE = optional("enhance_prompt", BOOLEAN, "whether a model writes the prompt anew");
