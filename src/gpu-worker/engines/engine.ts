import type { VideoParams } from "../params.ts";

export interface GenerateRequest {
  taskType: "generate_video";
  /** With a definite seed: never -1. */
  params: VideoParams;
  /** Exists; the engine writes its files here. */
  outputDir: string;
  /** File name without extension: `<basename>.mp4`, `<basename>_thumb.jpg`. */
  basename: string;
  /** On abort the engine ends its work, removes its files and rejects. */
  signal: AbortSignal;
  /** `fraction` from 0 to 1. Called only when the work has moved: silence means stuck. */
  onProgress: (fraction: number, message: string) => void;
}

/** A parameter that was given and had no effect, and why. */
export interface NotHonoured {
  param: string;
  reason: string;
}

export interface Generated {
  videoPath: string;
  thumbnailPath: string;
  modelUsed: string;
  notHonoured: NotHonoured[];
}

export interface Engine {
  name: string;
  /** @throws Error when the render fails; the task is then tried again, by this or another worker. */
  generate(request: GenerateRequest): Promise<Generated>;
}
