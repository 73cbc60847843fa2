import type { Kind } from "./kinds.ts";
import type { Parameter } from "./parameters.ts";
import type { Given, Problem } from "./resolved.ts";

/**
 * direct: one run of a model. orchestrator: writes sub-tasks and waits for them. segment: a part of a longer video.
 * composite: makes one result of earlier ones, or of a service. utility: a tool without prompt.
 */
export type TaskKind = "direct" | "orchestrator" | "segment" | "composite" | "utility";

/** `engine`: a program that runs models. `ffmpeg`: the program. `network`: a service beside the database. */
export type Need = "engine" | "ffmpeg" | "network";

/** Which programs do tasks of a type: ours, and two versions of Headless-Wan2GP, its newest and that of August 2025. */
export type Doer = "gpu-worker" | "headless-wan2gp" | "headless-wan2gp-2025-08";

/** About what a few requests and one file take. */
export const WITHOUT_MODEL_SEC = 10;

export interface TaskType {
  readonly name: string;
  /** Names under which a task is stored as this type. None is a name that Headless-Wan2GP knows: it claims by name. */
  readonly aliases: readonly string[];
  readonly kind: TaskKind;
  readonly meaning: string;
  readonly parameters: readonly Parameter[];
  /** Of each group, by their names, at least one has to be given. */
  readonly oneOf: readonly (readonly string[])[];
  /** What is wrong with values that are each allowed by themselves. */
  readonly check?: (values: Given) => readonly Problem[];
  /** The kind of `width` and `height`, for a type with a resolution. */
  readonly side: Kind;
  /** The engine's model if a task names none; null: it needs none, or its parts say which. */
  readonly model: string | null;
  readonly needs: readonly Need[];
  /** Seconds without progress after which a task is stuck. Null: what holds for tasks of any type. */
  readonly stuckTimeoutSec: number | null;
  /** How long a task takes until some were measured. Null: that depends on the model, the GPU and the size. */
  readonly expectedSec: number | null;
  readonly doers: readonly Doer[];
}
