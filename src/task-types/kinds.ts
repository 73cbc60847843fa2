import { z } from "zod";
import { CURVES } from "./graphs/easing.ts";

export type FileKind = "picture" | "video" | "file";

/** What the value of a parameter may be. */
export interface Kind {
  /** Completes "expected …" in an error. */
  readonly allowed: string;
  /** Reads a value. What it has read it reads as the same again. */
  readonly schema: z.ZodType;
  /** Whether an empty text counts as not given, as clients leave a field of a form. */
  readonly isNoneIfEmpty?: true;
  /** The model's grid decides the value: a size or a length in frames. */
  readonly snaps?: "size" | "length";
  /** It names one file, or a list of them, of this kind. */
  readonly file?: FileKind;
}

export function integer(min: number, max?: number): Kind {
  return max === undefined
    ? { allowed: `an integer of at least ${min}`, schema: z.int().min(min) }
    : { allowed: `an integer between ${min} and ${max}`, schema: z.int().min(min).max(max) };
}

export function number(min: number, max: number): Kind {
  return { allowed: `a number between ${min} and ${max}`, schema: z.number().min(min).max(max) };
}

/** A length in frames. */
export function length(max: number): Kind {
  return { ...integer(1, max), snaps: "length" };
}

export function oneOf(...names: readonly string[]): Kind {
  return { allowed: names.map((name) => `"${name}"`).join(" or "), schema: z.enum(names) };
}

const text = z.string();
const filled = text.refine((value) => value.trim() !== "");
const names = z.union([
  z.array(text),
  text.transform((value) =>
    value
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== ""),
  ),
]);
const multiplier = z.union([z.number(), text]);
const phases = z.looseObject({
  num_phases: z.int().min(2).max(3).nullish(),
  steps_per_phase: z.array(z.int().min(0)).nullish(),
  flow_shift: z.number().nullish(),
  sample_solver: text.nullish(),
  model_switch_phase: z.int().nullish(),
  phases: z.array(z.looseObject({})).nullish(),
});

export const TEXT: Kind = { allowed: "a text", schema: text };
export const FILLED_TEXT: Kind = { allowed: "a text that is not empty", schema: filled };
/** The models refuse an empty text and take a space. */
export const PROMPT_OR_SPACE: Kind = {
  allowed: "a text",
  schema: text.transform((value) => (value.trim() === "" ? " " : value)),
};
export const NUMBER: Kind = { allowed: "a number", schema: z.number() };
export const BOOLEAN: Kind = { allowed: "true or false", schema: z.boolean() };
export const SEED: Kind = { allowed: "an integer, -1 (random) or greater", schema: z.int().min(-1) };
export const SECONDS: Kind = { allowed: "a number of seconds, 0 or greater", schema: z.number().min(0) };
export const OBJECT: Kind = { allowed: "an object", schema: z.record(text, z.unknown()) };
export const LIST: Kind = { allowed: "a list", schema: z.array(z.unknown()) };
export const TEXTS: Kind = { allowed: "a list of texts", schema: z.array(text) };
export const FRAMES_OF_EACH: Kind = { allowed: "a list of integers of at least 1", schema: z.array(z.int().min(1)) };
export const OVERLAPS: Kind = {
  allowed: "an integer of at least 0, or a list of them",
  schema: z.union([z.int().min(0), z.array(z.int().min(0))]),
};
export const CLIPS: Kind = {
  allowed: 'a list of objects, each with a "url"',
  schema: z.array(z.looseObject({ url: filled })).min(1),
};
export const PORTIONS: Kind = {
  allowed: 'a list of at least one object, each with "start_frame" and "end_frame"',
  schema: z
    .array(
      z
        .looseObject({ start_frame: z.int().min(0), end_frame: z.int().min(0) })
        .refine(({ start_frame: start, end_frame: end }) => end >= start),
    )
    .min(1),
};
const share = z.number().min(0).max(1);
const fade = z.looseObject({
  low_point: share.nullish(),
  high_point: share.nullish(),
  curve_type: z.enum(CURVES).nullish(),
  duration_factor: share.nullish(),
});
export const FADE: Kind = {
  allowed:
    "an object, or its JSON, with low_point, high_point, duration_factor (0 to 1) and curve_type (such as ease_in_out)",
  isNoneIfEmpty: true,
  schema: z.union([fade, text.transform(fromJson).pipe(fade)]),
};
const structureVideos = z
  .array(
    z
      .looseObject({
        path: filled,
        start_frame: z.int().min(0).nullish(),
        end_frame: z.int().min(1).nullish(),
        treatment: z.enum(["adjust", "clip"]).nullish(),
        source_start_frame: z.int().min(0).nullish(),
        source_end_frame: z.int().min(1).nullish(),
        structure_type: z.enum(["flow", "canny", "depth", "raw", "uni3c"]).nullish(),
      })
      .refine(({ start_frame: start, end_frame: end }) => end == null || end > (start ?? 0))
      .refine(({ source_start_frame: start, source_end_frame: end }) => end == null || end > (start ?? 0)),
  )
  .min(1);
export const STRUCTURE_VIDEOS: Kind = {
  allowed: 'a list of objects, each with a "path", and perhaps start_frame < end_frame and treatment (adjust or clip)',
  schema: structureVideos,
};
const strength = z.number().min(0).max(10);
export const STRUCTURE: Kind = {
  allowed: "an object with videos, target (vace or uni3c), preprocessing (flow, canny, depth or none) and strength",
  schema: z.looseObject({
    videos: structureVideos.or(z.tuple([])).nullish(),
    target: z.enum(["vace", "uni3c"]).nullish(),
    preprocessing: z.enum(["flow", "canny", "depth", "none"]).nullish(),
    strength: strength.nullish(),
    canny_intensity: strength.nullish(),
    depth_contrast: strength.nullish(),
    step_window: z.tuple([share, share]).nullish(),
    frame_policy: text.nullish(),
    zero_empty_frames: z.boolean().nullish(),
    keep_on_gpu: z.boolean().nullish(),
    _guidance_video_url: text.nullish(),
    _frame_offset: z.int().min(0).nullish(),
  }),
};
function fromJson(value: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(value);
  } catch {
    context.addIssue({ code: "custom" });
    return z.NEVER;
  }
}
function fileOf(kind: FileKind): Kind {
  return { allowed: "the URL or path of a file", schema: filled, isNoneIfEmpty: true, file: kind };
}

export const PICTURE: Kind = fileOf("picture");
export const VIDEO: Kind = fileOf("video");
export const MODEL: Kind = { allowed: "a text", schema: text, isNoneIfEmpty: true };
export const PICTURES: Kind = {
  allowed: "the URL or path of a file, or a list of them",
  isNoneIfEmpty: true,
  file: "picture",
  schema: z.union([filled, z.array(filled)]),
};
export const LORAS: Kind = { allowed: "a list of texts, or one text with commas between", schema: names };
export const MULTIPLIERS: Kind = {
  allowed: "a number, a text or a list of these",
  schema: z.union([multiplier, z.array(multiplier)]),
};
export const MULTIPLIER_OF_EACH: Kind = {
  allowed: "an object with a number for each LoRA",
  schema: z.record(text, multiplier),
};
export const PHASES: Kind = {
  allowed: "an object with num_phases (2 or 3), steps_per_phase and phases",
  schema: phases,
};
