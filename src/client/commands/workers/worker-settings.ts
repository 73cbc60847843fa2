import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { WorkerRunFlags } from "./worker-flags.ts";

interface ProcessSettings {
  readonly level: string;
  readonly env: Readonly<Record<string, string>>;
}

/** What the flags that any worker takes say to its process. @param level the log level without --debug */
export function settingsFromFlags({ env }: Context, options: WorkerRunFlags, level: string): ProcessSettings {
  const { mainOutputDir, pollInterval, debug, skipCleanup } = options;
  const { REPLICATE_API_TOKEN: replicate } = env;
  return {
    level: debug ? "debug" : level,
    env: {
      ...(mainOutputDir !== undefined && { WORKER_OUTPUT_DIR: mainOutputDir }),
      ...(pollInterval !== undefined && { WORKER_POLL_MS: String(Math.round(pollInterval * 1_000)) }),
      ...((debug || skipCleanup) && { WORKER_KEEP_FILES: "1" }),
      ...(replicate && { REPLICATE_API_TOKEN: replicate }),
    },
  };
}

/** @throws ClientError when none is named */
export function requireEngine(context: Context, options: WorkerRunFlags): string {
  const engine = options.engine ?? context.env["WORKER_ENGINE"] ?? smokeEngine(context);
  if (engine === undefined) {
    const advice = "Give --engine preview, the one engine that there is, or set WORKER_ENGINE. It runs no model.";
    throw new ClientError(EXIT.usage, "no engine is named for this worker", advice);
  }
  return engine;
}

/** The smoke test of Headless-Wan2GP runs no model either. */
function smokeEngine({ env }: Context): string | undefined {
  const value = env["HEADLESS_WAN2GP_SMOKE"]?.toLowerCase() ?? "";
  return ["", "0", "false"].includes(value) ? undefined : "preview";
}
