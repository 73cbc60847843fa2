import { createHash } from "node:crypto";
import { ANY } from "../task-types/grid.ts";
import { resolveParameters, unknownFields } from "../task-types/resolve.ts";
import { sizeOf } from "../task-types/size.ts";
import type { TaskType } from "../task-types/task-type.ts";
import { findTaskType, TASK_TYPES } from "../task-types/task-types.ts";
import { shortJson } from "../../supabase/functions/_shared/text.ts";

export interface VideoParams {
  readonly prompt: string;
  readonly frames: number;
  readonly fps: number;
  readonly width: number;
  readonly height: number;
  /** -1 asks for a random seed: see `chooseSeed`. */
  readonly seed: number;
  /** Other parameters of the type that were given, by the names that they were given. */
  readonly others: readonly string[];
  /** Names in the task's `params` that the type does not have. */
  readonly unknownKeys: readonly string[];
}

/** The task's `params` or type are wrong: no attempt can succeed. */
export class ParamsError extends Error {
  override readonly name = "ParamsError";
}

const SHOWN_CHARS = 80;
const HONOURED = ["prompt", "video_length", "fps", "resolution", "seed"];

/**
 * The type that a task of this name is, which this worker can do.
 * @throws ParamsError naming the type and the supported ones.
 */
export function resolveTaskType(name: string): TaskType {
  const type = findTaskType(name);
  if (type?.doers.includes("gpu-worker")) {
    return type;
  }
  const ours = TASK_TYPES.filter(({ doers }) => doers.includes("gpu-worker"));
  const supported = ours.flatMap((each) => [each.name, ...each.aliases]).join(", ");
  const shown = shortJson(name, SHOWN_CHARS);
  throw new ParamsError(`task_type: ${shown} is not supported by this worker; supported: ${supported}`);
}

/**
 * Checks a task's `params`. A null value counts as not given. Sizes and lengths stay as they were asked.
 * @throws ParamsError naming every field that is wrong, what is expected, and what was given.
 */
export function parseVideoParams(type: TaskType, raw: unknown): VideoParams {
  const resolution = resolveParameters(type, raw, ANY);
  if (!resolution.ok) {
    throw new ParamsError(resolution.problems.map(({ field, what }) => `${field}: ${what}`).join("; "));
  }
  const { values, kept } = resolution;
  const value = (name: string) => values[name]?.value;
  const others = Object.entries(values).filter(([name]) => !HONOURED.includes(name));
  return {
    prompt: String(value("prompt")),
    frames: Number(value("video_length")),
    fps: Number(value("fps")),
    ...sizeOf(String(value("resolution"))),
    seed: Number(value("seed")),
    others: others.flatMap(([, { from }]) => from.map((field) => field.replace(/^params\./, ""))),
    unknownKeys: unknownFields(kept),
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
