import {
  BOOLEAN,
  FILLED_TEXT,
  integer,
  length,
  LORAS,
  MODEL,
  MULTIPLIER_OF_EACH,
  MULTIPLIERS,
  NUMBER,
  number,
  PHASES,
  PICTURES,
  PROMPT_OR_SPACE,
  SEED,
  TEXT,
  VIDEO,
} from "./kinds.ts";
import { optional, type Parameter, required } from "./parameters.ts";
import { sizes } from "./size.ts";

const SIZES = sizes(8_192, { even: false });
const MAX_FRAMES = 10_000;

export const PROMPT = required("prompt", FILLED_TEXT, "what to show");
export const PROMPT_OR_NONE = optional("prompt", PROMPT_OR_SPACE, "what to show", { fallback: " " });
export const NEGATIVE_PROMPT = optional("negative_prompt", TEXT, "what to keep out", { fallback: "" });
export const SEED_OR_RANDOM = optional("seed", SEED, "-1 is random", { fallback: -1 });
/** Its name in the tasks of the travel types is `parsed_resolution_wh`. */
export const RESOLUTION = optional("resolution", SIZES.both, "width and height in pixels, also as `width`, `height`", {
  aliases: ["parsed_resolution_wh"],
});
export const RESOLUTION_720P: Parameter = { ...RESOLUTION, fallback: "1280x720" };
/** The kind of `width` and of `height` where no type says otherwise. */
export const SIDE = SIZES.side;

const LENGTH_ALIASES = ["frames"];
export const VIDEO_LENGTH = optional("video_length", length(MAX_FRAMES), "length in frames", {
  aliases: LENGTH_ALIASES,
  fallback: 49,
});
export const ONE_FRAME = optional("video_length", length(MAX_FRAMES), "always 1: the result is a picture", {
  aliases: LENGTH_ALIASES,
  fixed: 1,
});
export const CONTEXT_FRAMES = optional("context_frame_count", integer(1, 1_000), "frames kept on each side of a gap", {
  fallback: 8,
});
export const GAP_FRAMES = optional("gap_frame_count", integer(1, 1_000), "new frames in a gap", { fallback: 53 });

export function fps(fallback: number, alias?: string): Parameter {
  return optional("fps", number(1, 120), "frames per second", { fallback, ...(alias && { aliases: [alias] }) });
}

export const FPS_OF_INPUT = optional("fps", number(1, 120), "frames per second; else that of the input");

export function model(fallback: string): Parameter {
  return optional("model", MODEL, "the model that generates", { aliases: ["model_name"], fallback });
}

/** `steps` is another thing in the travel types. */
export const STEPS_BY_NAME = optional("num_inference_steps", integer(1, 1_000), "denoising steps");
const STEPS: Parameter = { ...STEPS_BY_NAME, aliases: ["steps"] };

/** How a model samples. Without a value, its own settings decide. */
export const SAMPLING_WITHOUT_STEPS: readonly Parameter[] = [
  optional("guidance_scale", NUMBER, "how closely the prompt is followed"),
  optional("guidance2_scale", NUMBER, "the same in the second phase"),
  optional("flow_shift", NUMBER, "shift of the noise schedule"),
  optional("sample_solver", TEXT, "the solver, such as euler or unipc"),
  optional("switch_threshold", NUMBER, "noise level at which the second phase begins"),
  optional("denoising_strength", number(0, 1), "how much of the input is changed", {
    aliases: ["denoise_strength", "strength"],
  }),
  optional("phase_config", PHASES, "steps, guidance and LoRAs of each phase"),
];

export const LORA_PARAMETERS: readonly Parameter[] = [
  optional("activated_loras", LORAS, "LoRAs by name or URL", { aliases: ["lora_names", "lora_weights"] }),
  optional("loras_multipliers", MULTIPLIERS, "their strengths; `a;b` gives one to each phase", {
    aliases: ["lora_multipliers"],
  }),
  optional("additional_loras", MULTIPLIER_OF_EACH, "more LoRAs by URL, with their strengths"),
  optional("use_causvid_lora", BOOLEAN, "with the LoRA CausVid: 9 steps", { aliases: ["apply_causvid"] }),
  optional("use_lighti2x_lora", BOOLEAN, "with the LoRA LightI2X: 6 steps"),
];

export const SAMPLING: readonly Parameter[] = [STEPS, ...SAMPLING_WITHOUT_STEPS, ...LORA_PARAMETERS];

export const IMAGE_START = optional("image_start", PICTURES, "the first picture", { aliases: ["image", "image_url"] });
export const IMAGE_REFS = optional("image_refs", PICTURES, "pictures that the model refers to", {
  aliases: ["image_refs_paths"],
});

export const INPUT_PICTURES: readonly Parameter[] = [
  IMAGE_START,
  optional("image_end", PICTURES, "the last picture"),
  optional("video_source", VIDEO, "a video to continue"),
  IMAGE_REFS,
];

const VIDEO_GUIDE_ALIASES = { aliases: ["video_guide_path"] };
export const OPTIONAL_GUIDE = optional("video_guide", VIDEO, "the video that guides", VIDEO_GUIDE_ALIASES);
export const REQUIRED_GUIDE = required("video_guide", VIDEO, "the video that guides", VIDEO_GUIDE_ALIASES);

export const CONTROL: readonly Parameter[] = [
  optional("video_mask", VIDEO, "white where to generate, black where to keep", { aliases: ["video_mask_path"] }),
  optional("video_guide2", VIDEO, "a second guide"),
  optional("video_mask2", VIDEO, "its mask"),
  optional("video_prompt_type", TEXT, "which inputs there are, as Wan2GP's letters"),
];
