import {
  CONTROL,
  fps,
  IMAGE_REFS,
  IMAGE_START,
  INPUT_PICTURES,
  model,
  NEGATIVE_PROMPT,
  ONE_FRAME,
  OPTIONAL_GUIDE,
  PROMPT,
  PROMPT_OR_NONE,
  REQUIRED_GUIDE,
  RESOLUTION,
  RESOLUTION_720P,
  SAMPLING,
  SEED_OR_RANDOM,
  SIDE,
  VIDEO_LENGTH,
} from "./generation-parameters.ts";
import { BOOLEAN, FILLED_TEXT, integer, length, number, oneOf, PICTURE, SECONDS, TEXT, VIDEO } from "./kinds.ts";
import { optional, type Parameter, required } from "./parameters.ts";
import { sizes } from "./size.ts";
import type { Doer, TaskType } from "./task-type.ts";

const ALL: readonly Doer[] = ["gpu-worker", "headless-wan2gp", "headless-wan2gp-2025-08"];
const NEWEST: readonly Doer[] = ["gpu-worker", "headless-wan2gp"];

const PROMPTED = [PROMPT, NEGATIVE_PROMPT, SEED_OR_RANDOM];

type Row = Pick<TaskType, "name" | "meaning" | "parameters"> & { readonly model: string } & Partial<TaskType>;

function direct({ model: name, parameters, ...row }: Row): TaskType {
  return {
    aliases: [],
    kind: "direct",
    oneOf: [],
    side: SIDE,
    needs: ["engine"],
    stuckTimeoutSec: null,
    expectedSec: null,
    doers: ALL,
    ...row,
    model: name,
    parameters: [...parameters, model(name), ...SAMPLING],
  };
}

interface VideoRow extends Row {
  readonly framesPerSec?: number;
  readonly length?: Parameter;
  readonly resolution?: Parameter;
}

function video({ framesPerSec = 16, length: frames = VIDEO_LENGTH, resolution = RESOLUTION_720P, ...row }: VideoRow) {
  return direct({ ...row, parameters: [...PROMPTED, frames, fps(framesPerSec), resolution, ...row.parameters] });
}

function picture(row: Row): TaskType {
  return direct({ doers: NEWEST, ...row, parameters: [...row.parameters, NEGATIVE_PROMPT, SEED_OR_RANDOM, ONE_FRAME] });
}

const FREE = [...INPUT_PICTURES, OPTIONAL_GUIDE, ...CONTROL];
const VACE = [REQUIRED_GUIDE, ...CONTROL, ...INPUT_PICTURES];
const FROM_PICTURE = { parameters: FREE, oneOf: [["image_start", "video_source"]] };

/** GPU workers of ours render these with the size and length that were asked for. */
const EXACT = sizes(4_096, { even: true });

const VIDEOS: readonly TaskType[] = [
  video({
    name: "generate_video",
    aliases: ["video_generation"],
    meaning: "a video from a text",
    model: "t2v",
    side: EXACT.side,
    resolution: { ...RESOLUTION, kind: EXACT.both, fallback: "512x512" },
    length: { ...VIDEO_LENGTH, kind: length(1_000) },
    parameters: [...FREE, optional("processing_time", SECONDS, "an estimate; it changes nothing")],
  }),
  video({ name: "t2v", meaning: "a video from a text, Wan 2.1", model: "t2v", parameters: FREE }),
  video({ name: "t2v_22", meaning: "a video from a text, Wan 2.2", model: "t2v_2_2", parameters: FREE }),
  video({ name: "i2v", meaning: "a video from a picture, Wan 2.1", model: "i2v_14B", ...FROM_PICTURE }),
  video({ name: "i2v_22", meaning: "a video from a picture, Wan 2.2", model: "i2v_2_2", ...FROM_PICTURE }),
  video({ name: "vace", meaning: "a video after a guide", model: "vace_14B_cocktail_2_2", parameters: VACE }),
  video({ name: "vace_21", meaning: "the same, Wan 2.1", model: "vace_14B", parameters: VACE }),
  video({ name: "vace_22", meaning: "the same, Wan 2.2", model: "vace_14B_cocktail_2_2", parameters: VACE }),
  video({ name: "hunyuan", meaning: "a video by Hunyuan Video", model: "hunyuan", parameters: FREE, framesPerSec: 24 }),
  video({ name: "ltxv", meaning: "a video by LTX Video", model: "ltxv_13B", parameters: FREE, framesPerSec: 30 }),
  video({ name: "wgp", meaning: "whatever the named model makes", model: "t2v", parameters: FREE }),
];

const EDITED = required("image", PICTURE, "the picture to edit", { aliases: ["image_url"] });
const MASK = required("mask_url", PICTURE, "white where to change the picture");
const SYSTEM_PROMPT = optional("system_prompt", TEXT, "what the model is told about its task");
const HIRES: readonly Parameter[] = [
  optional("hires_scale", number(1, 8), "a second pass at this many times the size"),
  optional("hires_steps", integer(1, 1_000), "steps of the second pass"),
  optional("hires_denoise", number(0, 1), "how much the second pass changes"),
  optional("hires_upscale_method", TEXT, "how the picture grows between the passes"),
];
const EDIT = [RESOLUTION, SYSTEM_PROMPT, ...HIRES];
const STYLE: readonly Parameter[] = [
  optional("style_reference_image", PICTURE, "the picture whose style to take"),
  optional("style_reference_strength", number(0, 10), "how much of it"),
  optional("subject_reference_image", PICTURE, "the picture whose subject to take"),
  optional("subject_strength", number(0, 10), "how much of it"),
  optional("subject_description", TEXT, "the subject in words"),
  optional("in_this_scene", BOOLEAN, "whether the scene is taken too"),
];

const QWEN_EDIT = "qwen_image_edit_20B";
const PICTURES_BY_ENGINE: readonly TaskType[] = [
  direct({
    name: "flux",
    meaning: "pictures from a text, by Flux",
    model: "flux",
    parameters: [
      ...PROMPTED,
      optional("num_images", integer(1, 64), "how many pictures", { aliases: ["video_length", "frames"], fallback: 1 }),
      RESOLUTION_720P,
      IMAGE_START,
      IMAGE_REFS,
    ],
  }),
  picture({
    name: "wan_2_2_t2i",
    meaning: "a picture from a text, by Wan 2.2",
    model: "t2v_2_2",
    parameters: [PROMPT, RESOLUTION_720P, IMAGE_REFS],
    doers: ALL,
  }),
  picture({
    name: "single_image",
    meaning: "the older name of wan_2_2_t2i",
    model: "t2v",
    parameters: [PROMPT, RESOLUTION_720P, IMAGE_REFS],
    doers: ["gpu-worker", "headless-wan2gp-2025-08"],
  }),
  picture({
    name: "qwen_image",
    meaning: "a picture from a text, by Qwen",
    model: QWEN_EDIT,
    parameters: [PROMPT, RESOLUTION_720P, ...HIRES],
  }),
  picture({
    name: "qwen_image_2512",
    meaning: "a picture from a text, by Qwen of December 2025",
    model: "qwen_image_2512_20B",
    parameters: [PROMPT, RESOLUTION_720P, ...HIRES],
  }),
  picture({
    name: "qwen_image_hires",
    meaning: "a picture in two passes, by Qwen",
    model: QWEN_EDIT,
    parameters: [PROMPT, RESOLUTION, IMAGE_START, ...HIRES],
  }),
  picture({
    name: "qwen_image_style",
    meaning: "a picture in the style of another, by Qwen",
    model: QWEN_EDIT,
    parameters: [PROMPT_OR_NONE, ...EDIT, ...STYLE],
    oneOf: [["style_reference_image", "subject_reference_image"]],
  }),
  picture({
    name: "qwen_image_edit",
    meaning: "a picture changed as a text says, by Qwen",
    model: QWEN_EDIT,
    parameters: [PROMPT_OR_NONE, EDITED, ...EDIT],
  }),
  picture({
    name: "image_inpaint",
    meaning: "a picture with a part filled anew, by Qwen",
    model: QWEN_EDIT,
    parameters: [PROMPT_OR_NONE, EDITED, MASK, ...EDIT],
  }),
  picture({
    name: "annotated_image_edit",
    meaning: "a picture changed where it is marked, by Qwen",
    model: QWEN_EDIT,
    parameters: [PROMPT_OR_NONE, EDITED, MASK, ...EDIT],
  }),
  picture({
    name: "z_image_turbo",
    meaning: "a picture from a text, by Z-Image",
    model: "z_image",
    parameters: [PROMPT, RESOLUTION_720P],
  }),
  picture({
    name: "z_image_turbo_i2i",
    meaning: "a picture from a picture, by Z-Image",
    model: "z_image_img2img",
    parameters: [PROMPT_OR_NONE, EDITED, RESOLUTION],
  }),
];

const UPSCALING: TaskType = {
  name: "upscaling",
  aliases: [],
  kind: "direct",
  meaning: "a larger video or picture, or a smoother video",
  model: null,
  needs: ["engine", "ffmpeg"],
  oneOf: [["video_url", "image_url"]],
  side: SIDE,
  // A whole video passes through the model, and an older worker says nothing meanwhile.
  stuckTimeoutSec: 7_200,
  expectedSec: null,
  doers: ["gpu-worker"],
  parameters: [
    optional("video_url", VIDEO, "the video", { aliases: ["video_path", "input_video_path"] }),
    optional("image_url", PICTURE, "or the picture", { aliases: ["image", "image_path", "input_image_path"] }),
    optional("upscale_factor", number(1, 8), "how many times the size", { fallback: 2 }),
    optional("upscale_model_name", FILLED_TEXT, "the model"),
    optional("temporal_upsampling", oneOf("rife2", "rife4"), "twice or four times the frames of a video"),
    optional("smoothing", number(0, 1), "how much the flicker of a video is calmed"),
    optional("allow_approximate", BOOLEAN, "whether ffmpeg may replace the models", { fallback: false }),
  ],
};

export const DIRECT_TYPES: readonly TaskType[] = [...VIDEOS, ...PICTURES_BY_ENGINE, UPSCALING];
