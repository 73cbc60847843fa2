import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Command } from "commander";
import { makeCredential } from "../../../activities/pod-request.ts";
import { loadConfig } from "../../../config/config.ts";
import { startGuardian } from "../../../process/guardian.ts";
import { projectProgram } from "../../../process/program.ts";
import { createLogger } from "../../../logger.ts";
import { externalStore } from "../../../supabase/external-store.ts";
import { addExamples, type Context, jsonOption, poolName, type PoolOptions, poolOption } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { prettyLogLine } from "../../render/log-lines.ts";
import { plain } from "../../render/output.ts";
import { addWorkerOrders } from "./worker-orders.ts";

interface WorkerOptions extends PoolOptions {
  readonly id?: string;
}

type WorkerEnvironment = Readonly<Record<string, string>>;

export function addWorkerCommand(program: Command, context: Context): void {
  const worker = program.command("worker").description("single workers: on machines of your own, and the pool's");
  const run = withOptions(worker.command("run"))
    .description("work on this machine for a pool, until Ctrl-C or until it is drained")
    .action(async (options: WorkerOptions) => await runWorker(context, options));
  addExamples(run, [["gpu-pool worker run --pool nightly", "this machine counts as one of the pool's GPUs"]]);
  const token = withOptions(worker.command("token"))
    .description("print the environment with which a GPU worker on another machine joins a pool; it is shown once")
    .addOption(jsonOption())
    .action(async (options: WorkerOptions) => {
      const env = await register(context, options);
      if (options.json) {
        context.output.printJson(env);
      } else {
        context.output.print(
          Object.entries(env)
            .map(([name, value]) => `${name}=${value}`)
            .join("\n"),
        );
      }
    });
  addExamples(token, [["gpu-pool worker token > worker.env", "for the GPU worker on that machine"]]);
  addWorkerOrders(worker, context);
}

function withOptions(command: Command): Command {
  return command.option("--id <id>", "the worker's id, used once (default: made up)").addOption(poolOption());
}

async function store(context: Context) {
  return externalStore(await context.connections.database());
}

/** Books the worker and answers the environment of its process, the only place that ever holds its token. */
async function register(context: Context, options: WorkerOptions): Promise<WorkerEnvironment> {
  const { supabase, worker, timeouts } = loadConfig(context.env, { need: ["supabase"] });
  const pool = poolName(context, options);
  const id = options.id ?? `external-${randomBytes(4).toString("hex")}`;
  const { token, hash } = makeCredential();
  const outcome = await (
    await store(context)
  ).register({
    id,
    pool,
    tokenHash: hash,
    // Its last task may still be finished and delivered after its last claim.
    lifetimeSec: timeouts.workerMaxLifetimeSec + timeouts.gracefulShutdownTimeoutSec,
    machine: `external: ${hostname()}`,
  });
  if (outcome === "taken") {
    throw new ClientError(EXIT.failed, `worker id ${plain(id)} was used before`, "Leave out --id, or give another.");
  }
  return {
    WORKER_ID: id,
    WORKER_TOKEN: token,
    SUPABASE_URL: supabase.url,
    SUPABASE_ANON_KEY: supabase.anonKey,
    SUPABASE_VIDEO_BUCKET: supabase.videoBucket,
    WORKER_HEARTBEAT_MS: String(worker.heartbeatMs),
    WORKER_POLL_MS: String(worker.pollMs),
    WORKER_MAX_LIFETIME_SEC: String(timeouts.workerMaxLifetimeSec),
    ...(worker.engine === undefined ? {} : { WORKER_ENGINE: worker.engine }),
  };
}

async function runWorker(context: Context, options: WorkerOptions): Promise<void> {
  const { output, env } = context;
  const { level } = loadConfig(env, { need: [] }).log;
  const workerEnv = await register(context, options);
  const id = workerEnv["WORKER_ID"] ?? "";
  const guardian = await startGuardian({ logger: createLogger({ level, name: "gpu-pool" }) });
  let reason = "its process ended";
  try {
    const { PATH, HOME, TMPDIR, FFMPEG_PATH } = env;
    const { command, args } = projectProgram("gpu-worker/main");
    const running = guardian.spawn(command, args, {
      name: `worker ${id}`,
      env: { PATH, HOME, TMPDIR, ...(FFMPEG_PATH ? { FFMPEG_PATH } : {}), LOG_LEVEL: level, ...workerEnv },
      onLine: (line) => output.note(prettyLogLine(line.trimEnd(), output.style)),
    });
    output.print(`worker ${id} works for pool ${poolName(context, options)}; Ctrl-C gives its task back and ends it`);
    const onSignal = () => {
      reason = "stopped on its machine";
      void running.stop();
    };
    process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
    const { code, signal } = await running.exited;
    if (code !== 0 && reason === "its process ended") {
      reason = `its process ended with ${signal ?? `code ${code}`}`;
      process.exitCode = EXIT.failed;
    }
  } finally {
    await guardian.close();
    await (await store(context)).remove(id, reason);
  }
  output.note(`gpu-pool: worker ${id} has left: ${reason}`);
}
