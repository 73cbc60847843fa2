import type { VideoParams } from "../params.ts";

export interface GenerateRequest {
  /** Its name, never an alias. */
  readonly taskType: string;
  /** `seed` is never -1. */
  readonly params: VideoParams;
  /** Exists; the engine writes its files here. */
  readonly outputDir: string;
  /** File name without extension: `<basename>.mp4`, `<basename>_thumb.jpg`. */
  readonly basename: string;
  /** When it aborts, the engine stops, removes its files and rejects. */
  readonly signal: AbortSignal;
  /** `fraction` from 0 to 1. To be called only when the work has advanced: a task without progress counts as stuck. */
  readonly onProgress: (fraction: number, message: string) => void;
}

/** A parameter that was given and had no effect, with the reason. */
export interface NotHonoured {
  readonly param: string;
  readonly reason: string;
}

export interface Generated {
  readonly videoPath: string;
  readonly thumbnailPath: string;
  readonly modelUsed: string;
  readonly notHonoured: NotHonoured[];
}

export interface Engine {
  readonly name: string;
  /** @throws Error when the render fails; this or another worker then tries the task again. */
  generate(request: GenerateRequest): Promise<Generated>;
}
