import type { EngineJob } from "../../engines/engine.ts";
import type { TaskRun } from "../handler.ts";
import { ParamsError } from "../params-error.ts";

/** The engine that has no models at all. */
const PREVIEW = "preview";

/**
 * Whether ffmpeg does a model's work. It may only where the task allows it, and does where the engine has no model for it.
 * @throws ParamsError when neither can.
 */
export function usesStandIn({ engine, values }: Pick<TaskRun, "engine" | "values">, job: EngineJob): boolean {
  const allowed = values["allow_approximate"] === true;
  if (engine.can(job) && engine.transform !== undefined) {
    return allowed && engine.name === PREVIEW;
  }
  if (!allowed) {
    throw new ParamsError(
      `params.allow_approximate: the engine ${engine.name} has no model for this (${job}); true allows ffmpeg instead`,
    );
  }
  return true;
}

/** What the result of a stand-in says of itself. */
export function standInResult(method: string): { approximate: true; approximate_method: string } {
  return { approximate: true, approximate_method: method };
}
