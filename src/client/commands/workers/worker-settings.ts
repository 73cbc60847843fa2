import { dirname } from "node:path";
import { loadConfig } from "../../../config/config.ts";
import { namedTypes } from "../../../policy/launch/task-types.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { WorkerRunFlags } from "./worker-flags.ts";

interface ProcessSettings {
  readonly level: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Settings that a worker on this machine takes from the environment, as one in a pod does. */
const OWN_VARIABLES = [
  "TASK_TYPE_MODULES",
  "REPLICATE_API_TOKEN",
  "REPLICATE_API_URL",
  "TASK_STUCK_TIMEOUT_SEC",
  "WORKER_OUTPUT_DIR",
  "WORKER_LOG_DIR",
  "WORKER_KEEP_FILES",
  "WORKER_POLL_MS",
  "WORKER_HEARTBEAT_MS",
  "WORKER_INPUT_DIRS",
  "WORKER_INPUT_MAX_MB",
  "WORKER_INPUT_TIMEOUT_SEC",
] as const;

/** The variables of a worker's process, from the environment and from the flags that any worker takes; a flag counts first. @throws ConfigError */
export function processSettings({ env }: Pick<Context, "env">, options: WorkerRunFlags): ProcessSettings {
  // The configuration is that of pools, whose queue is in no file.
  const { log, launch } = loadConfig({ ...env, DB_TYPE: undefined }, { need: [] });
  const { mainOutputDir, pollInterval, debug, skipCleanup, saveLogging } = options;
  const types = launch.workerTaskTypes && namedTypes(launch.workerTaskTypes);
  return {
    level: debug ? "debug" : log.level,
    env: {
      ...Object.fromEntries(OWN_VARIABLES.flatMap((name) => (env[name] ? [[name, env[name]]] : []))),
      ...(types && { WORKER_TASK_TYPES: JSON.stringify(types) }),
      ...(mainOutputDir !== undefined && { WORKER_OUTPUT_DIR: mainOutputDir }),
      ...(pollInterval !== undefined && { WORKER_POLL_MS: String(Math.round(pollInterval * 1_000)) }),
      ...((debug || skipCleanup) && { WORKER_KEEP_FILES: "1" }),
      ...(saveLogging !== undefined && { WORKER_LOG_DIR: logFolder(saveLogging) }),
    },
  };
}

/** Headless-Wan2GP takes a file, and its folder is made; ours writes several files. */
function logFolder(given: string | true): string {
  if (given === true) {
    return "logs";
  }
  return /\.(log|txt)$/.test(given) ? dirname(given) : given;
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
