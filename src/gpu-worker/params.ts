import { createHash } from "node:crypto";
import { z } from "zod";
import { shortJson } from "../../supabase/functions/_shared/text.ts";

export interface VideoParams {
  readonly prompt: string;
  readonly frames: number;
  readonly fps: number;
  readonly width: number;
  readonly height: number;
  /** -1 asks for a random seed: see `chooseSeed`. */
  readonly seed: number;
  readonly negativePrompt: string | undefined;
  readonly guidanceScale: number | undefined;
  readonly numInferenceSteps: number | undefined;
  readonly model: string | undefined;
  readonly loraWeights: string[] | undefined;
  readonly processingTimeSec: number | undefined;
  /** Names in the task's `params` that no engine knows. */
  readonly unknownKeys: string[];
}

/** The task's `params` or type are wrong: no attempt can succeed. */
export class ParamsError extends Error {
  override readonly name = "ParamsError";
}

const TASK_TYPES: ReadonlyMap<string, "generate_video"> = new Map([
  ["generate_video", "generate_video"],
  ["video_generation", "generate_video"],
]);

const SHOWN_CHARS = 80;
const DEFAULTS = { frames: 49, fps: 16, width: 512, height: 512, seed: -1 } as const;

const frames = z.int().min(1).max(1_000);
const side = z.int().min(16).max(4_096).multipleOf(2);
const shape = {
  prompt: z.string().refine((text) => text.trim() !== ""),
  negative_prompt: z.string().optional(),
  frames: frames.optional(),
  video_length: frames.optional(),
  fps: z.number().min(1).max(120).optional(),
  width: side.optional(),
  height: side.optional(),
  resolution: z
    .string()
    .regex(/^\d{1,5}x\d{1,5}$/)
    .transform((text) => text.split("x").map(Number))
    .pipe(z.tuple([side, side]))
    .optional(),
  seed: z.int().min(-1).optional(),
  guidance_scale: z.number().optional(),
  num_inference_steps: z.int().min(1).optional(),
  model: z.string().optional(),
  lora_weights: z.array(z.string()).optional(),
  processing_time: z.number().min(0).optional(),
};

const EXPECTED: Record<keyof typeof shape, string> = {
  prompt: "a text that is not empty",
  negative_prompt: "a text",
  frames: "an integer between 1 and 1000",
  video_length: "an integer between 1 and 1000",
  fps: "a number between 1 and 120",
  width: "an even integer between 16 and 4096",
  height: "an even integer between 16 and 4096",
  resolution: 'a text such as "832x480", two even integers between 16 and 4096',
  seed: "an integer, -1 (random) or greater",
  guidance_scale: "a number",
  num_inference_steps: "an integer of at least 1",
  model: "a text",
  lora_weights: "a list of texts",
  processing_time: "a number of seconds, 0 or greater",
};

/**
 * The canonical name of a task type (`video_generation` is an alias of `generate_video`).
 * @throws ParamsError naming the type and the supported ones.
 */
export function resolveTaskType(taskType: string): "generate_video" {
  const known = TASK_TYPES.get(taskType);
  if (known !== undefined) {
    return known;
  }
  const supported = [...TASK_TYPES.keys()].join(", ");
  throw new ParamsError(`task_type: ${quote(taskType)} is not supported by this worker; supported: ${supported}`);
}

/**
 * Checks a task's `params`. A null value counts as not given.
 * @throws ParamsError naming every field that is wrong, what is expected, and what was given.
 */
export function parseVideoParams(raw: unknown): VideoParams {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw new ParamsError(`params: expected a JSON object, got ${quote(raw)}`);
  }
  const given = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null));
  const parsed = z.object(shape).safeParse(given);
  if (!parsed.success) {
    const fields = new Set(parsed.error.issues.map((issue) => String(issue.path[0])));
    throw new ParamsError([...fields].map((field) => complaint(field, given[field])).join("; "));
  }
  const values = parsed.data;
  const [resolutionWidth, resolutionHeight] = values.resolution ?? [];
  return {
    prompt: values.prompt,
    frames: agree("frames", values.frames, "video_length", values.video_length) ?? DEFAULTS.frames,
    fps: values.fps ?? DEFAULTS.fps,
    width: agree("width", values.width, "resolution", resolutionWidth) ?? DEFAULTS.width,
    height: agree("height", values.height, "resolution", resolutionHeight) ?? DEFAULTS.height,
    seed: values.seed ?? DEFAULTS.seed,
    negativePrompt: values.negative_prompt,
    guidanceScale: values.guidance_scale,
    numInferenceSteps: values.num_inference_steps,
    model: values.model,
    loraWeights: values.lora_weights,
    processingTimeSec: values.processing_time,
    unknownKeys: Object.keys(given).filter((key) => !Object.hasOwn(shape, key)),
  };
}

/**
 * The seed to render with. A random seed is derived from the lease token: when a worker dies before completing and
 * the render is repeated in the same attempt, it gives the same file again.
 */
export function chooseSeed(seed: number, leaseToken: string): number {
  if (seed !== -1) {
    return seed;
  }
  return createHash("sha256").update(leaseToken).digest().readUInt32BE(0) >>> 1;
}

function complaint(field: string, value: unknown): string {
  // A longer integer was rounded when it was read, so it is not shown.
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return `params.${field}: expected a number from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}, got a longer one`;
  }
  return `params.${field}: expected ${EXPECTED[field as keyof typeof shape]}, got ${quote(value)}`;
}

function agree(name: string, value: number | undefined, alias: string, aliased: number | undefined) {
  if (value !== undefined && aliased !== undefined && value !== aliased) {
    throw new ParamsError(`params.${alias}: says ${aliased} where params.${name} says ${value}; give one of the two`);
  }
  return value ?? aliased;
}

function quote(value: unknown): string {
  return shortJson(value, SHOWN_CHARS);
}
