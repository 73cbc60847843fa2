import type { Grid } from "../../task-types/grid.ts";
import type { Pose } from "../video/frames/poses.ts";

/** generate: a model's run. pose, depth: of a picture or video. flow: the motion of a video. interpolate: frames between pictures. */
export type EngineJob = "generate" | "pose" | "depth" | "flow" | "interpolate" | "upscale";

/** What to make, exactly. Sizes in px. */
export type Make =
  | { readonly kind: "picture"; readonly count: number; readonly width: number; readonly height: number }
  | {
      readonly kind: "video";
      readonly frames: number;
      readonly fps: number;
      readonly width: number;
      readonly height: number;
    };

interface EngineRequest {
  readonly make: Make;
  /** Exists; the engine writes its files here. */
  readonly outputDir: string;
  /** The names of the files begin so: `<basename>.mp4`, `<basename>.png`; further pictures `<basename>_2.png`, … */
  readonly basename: string;
  /** When it aborts, the engine stops, removes its files and rejects. */
  readonly signal: AbortSignal;
  /** `fraction` from 0 to 1. Called only when the work has advanced: a task without progress counts as stuck. */
  readonly onProgress: (fraction: number, message: string) => void;
}

export interface GenerateRequest extends EngineRequest {
  /** Its name, never an alias. */
  readonly taskType: string;
  readonly model: string;
  /** The type's parameters by their names, with local paths where files were named. `seed` is never -1. */
  readonly values: Readonly<Record<string, unknown>>;
}

export interface TransformRequest extends EngineRequest {
  readonly job: Exclude<EngineJob, "generate">;
  /** Null: the engine's own. */
  readonly model: string | null;
  /** Local paths: of one picture or video; for `interpolate` of the first and the last picture, or of one video. */
  readonly inputs: readonly string[];
  /** The factor by which `flow` multiplies motion. */
  readonly strength?: number;
}

/** A parameter that was given and had no effect, with the reason. */
export interface NotHonoured {
  readonly param: string;
  readonly reason: string;
}

export interface Generated {
  /** One video, or as many pictures (PNG) as were asked for; all in the request's directory. */
  readonly files: readonly [string, ...string[]];
  readonly modelUsed: string;
  /** Every parameter of the request that has no effect in this engine, by its name, given or not. */
  readonly notHonoured: readonly NotHonoured[];
  /** The people that `pose` found, as shares of the picture's sides. Left out: the engine only draws them. */
  readonly people?: readonly Pose[];
}

export interface Engine {
  readonly name: string;
  /** What sizes and lengths are cut to; null: the grid of the task's model. */
  readonly grid: Grid | null;
  can(job: EngineJob): boolean;
  /** @throws Error when the render fails; this or another worker then tries the task again. */
  generate(request: GenerateRequest): Promise<Generated>;
  /** Does the other jobs. Left out: the engine has none. @throws Error as generate does */
  transform?(request: TransformRequest): Promise<Generated>;
}
