import { requireWorkablePods } from "../../../activities/pod-request.ts";
import { holderOf } from "../../../dev/data-dir.ts";
import { DEFAULT_DATA_DIR } from "../../../dev/stack-env-file.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../../../config/config.ts";
import { poolWorkflowId } from "../../../contract/names.ts";
import { type Stack, startStack } from "../../../dev/stack.ts";
import { createLogger } from "../../../logger.ts";
import type { Context } from "../../context.ts";
import { poolName } from "../../pool-name.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { isSdkChatter, prettyLogLine } from "../../render/pino-lines.ts";
import { createStyle } from "../../render/output.ts";
import { SearchAttributesMissing, startPool } from "../../start-pool.ts";
import { shellCommand } from "../../../process/shell-command.ts";
import { supervise } from "../../../process/supervise.ts";

/** Defaults of this command. With MIN_ACTIVE_GPUS 0 no pod runs and nothing is paid until there is a task. */
const DEV_DEFAULTS: Readonly<Record<string, string>> = { MIN_ACTIVE_GPUS: "0" };
const ATTRIBUTES_WAIT_MS = 30_000;

export interface DevOptions {
  readonly dataDir?: string;
  readonly worker: boolean;
  readonly pool?: string | false;
  readonly json?: boolean;
}

export async function runDev(context: Context, options: DevOptions): Promise<void> {
  const { env, output } = context;
  const { dataDir = DEFAULT_DATA_DIR } = options;
  const holder = await holderOf(dataDir);
  if (holder !== null) {
    const advice = "Use that one, end it, or choose another place with --data-dir <path>.";
    throw new ClientError(EXIT.failed, `process ${holder} runs a stack in ${dataDir} already`, advice);
  }
  const colours = createStyle(output.errIsTerminal && !env["NO_COLOR"]);
  for (const [name, value] of Object.entries(DEV_DEFAULTS)) {
    env[name] ||= value;
  }
  const pool = options.pool === false ? null : poolName(context, { ...(options.pool && { pool: options.pool }) });
  // Wrong settings are reported before anything is started.
  const { level } = loadConfig(env, { need: [] }).log;
  const stopping = stopOnSignals(output.note);
  const showLog = (line: string) => output.note(prettyLogLine(line.trimEnd(), colours));
  const logger = createLogger({ level, name: "gpu-pool", destination: { write: showLog } });

  const stack = await startStack({
    dataDir,
    logger,
    env,
    onPart: (part, detail) => output.note(`${colours("cyan", part.padEnd(9))} ${detail}`),
  });
  stopping.stackIsUp();
  let supervision = Promise.resolve();
  try {
    Object.assign(env, stack.env);
    const config = loadConfig(env);
    if (options.worker) {
      requireWorkablePods(config);
      supervision = supervise({
        start: () => stack.startTemporalWorker({}, (line) => isSdkChatter(line) || showLog(line)),
        say: (line) => output.note(`gpu-pool: ${line}`),
        stopping: stopping.signal,
      });
      supervision.catch(stopping.stop);
    }
    if (pool !== null) {
      await startPoolOnceReady(context, pool, options.worker ? ATTRIBUTES_WAIT_MS : 0);
    }
    announce(context, { stack, pool, dataDir, options });
    const ended = await Promise.race([stopping.stopped, stack.partEnded]);
    if (ended !== undefined) {
      throw new ClientError(EXIT.failed, ended, "What it stores is kept. Start gpu-pool dev again.");
    }
  } finally {
    stopping.stop();
    await context.connections.close();
    await stack.close();
    await supervision;
  }
  output.note("gpu-pool: stopped");
}

interface Stopping {
  readonly signal: AbortSignal;
  readonly stopped: Promise<void>;
  stackIsUp(): void;
  stop(): void;
}

/** The first Ctrl-C stops everything in order, the second ends this process at once; the guardian then ends the rest. */
function stopOnSignals(say: (line: string) => void): Stopping {
  const controller = new AbortController();
  let isUp = false;
  const stopped = new Promise<void>((resolve) => controller.signal.addEventListener("abort", () => resolve()));
  const onSignal = () => {
    if (controller.signal.aborted) {
      process.exit(130);
    }
    if (!isUp) {
      say("gpu-pool: stopped while starting");
      process.exit(EXIT.ok);
    }
    say("gpu-pool: stopping; Ctrl-C again ends at once");
    controller.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return { signal: controller.signal, stopped, stackIsUp: () => void (isUp = true), stop: () => controller.abort() };
}

/** The user's own Temporal server may lack the search attributes until the Temporal worker has registered them. */
async function startPoolOnceReady(context: Context, pool: string, patienceMs: number): Promise<void> {
  const deadlineMs = Date.now() + patienceMs;
  for (;;) {
    try {
      await startPool(context, pool, {});
      return;
    } catch (error) {
      if (!(error instanceof SearchAttributesMissing) || Date.now() >= deadlineMs) {
        throw error;
      }
      await sleep(1_000);
    }
  }
}

interface Announcement {
  readonly stack: Stack;
  readonly pool: string | null;
  readonly dataDir: string;
  readonly options: DevOptions;
}

function announce({ output, env }: Context, { stack, pool, dataDir, options }: Announcement): void {
  const path = pool === null ? "" : `/${encodeURIComponent(poolWorkflowId(pool))}`;
  const workflows = `/namespaces/${env["TEMPORAL_NAMESPACE"] || "default"}/workflows${path}`;
  const urls = {
    api: env["SUPABASE_URL"] ?? null,
    temporal: env["TEMPORAL_ADDRESS"] ?? null,
    webUi: stack.temporalUiUrl === null ? null : `${stack.temporalUiUrl}${workflows}`,
    simulator: stack.simulator?.url ?? null,
  };
  if (options.json) {
    output.printJson({ pid: process.pid, pool, envFile: stack.envFile, ...urls });
    return;
  }
  const { style } = output;
  const about =
    pool === null ? "" : options.worker ? `, and pool ${pool} runs` : `; pool ${pool} waits for a Temporal worker`;
  const line = (label: string, value: string | null) =>
    value !== null && output.print(`  ${style("dim", label.padEnd(10))} ${value}`);
  output.print("");
  output.print(style("bold", `The stack is up${about}.`));
  line("API", urls.api);
  line("Web UI", urls.webUi);
  line("Simulator", urls.simulator);
  line("Temporal", urls.temporal);
  const status = ["status", ...(pool === null || pool === "main" ? [] : ["--pool", pool])];
  const elsewhere = shellCommand(env, ...status, "--env-file", stack.envFile);
  output.print("");
  if (dataDir === DEFAULT_DATA_DIR) {
    output.print(`In another terminal: ${style("cyan", shellCommand(env, ...status))}`);
    output.print(`From other folders:  ${style("cyan", elsewhere)}`);
  } else {
    output.print(`In another terminal: ${style("cyan", elsewhere)}`);
  }
  output.print(style("dim", "Ctrl-C stops everything."));
  output.print("");
}
