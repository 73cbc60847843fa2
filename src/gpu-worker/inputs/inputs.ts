import type { Logger } from "pino";
import type { Inputs } from "../tasks/handler.ts";
import { ParamsError } from "../tasks/params-error.ts";
import type { Ffmpeg } from "../video/ffmpeg.ts";

/** The attempt that needs the files. */
export interface InputsScope {
  readonly workDir: string;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly ffmpeg: Ffmpeg;
}

export type OpenInputs = (scope: InputsScope) => Inputs;

/** Fetches no file yet. */
export function createInputs(): OpenInputs {
  return () => ({
    async fetch(field, urlOrPath) {
      throw new ParamsError(`params.${field}: this worker takes no files yet, got ${JSON.stringify(urlOrPath)}`);
    },
  });
}
