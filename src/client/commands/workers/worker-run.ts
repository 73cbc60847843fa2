import { loadConfig } from "../../../config/config.ts";
import { createLogger } from "../../../logger.ts";
import { startGuardian } from "../../../process/guardian.ts";
import { projectProgram } from "../../../process/program.ts";
import { externalStore } from "../../../supabase/external-store.ts";
import type { Context } from "../../context.ts";
import { poolName } from "../../pool-name.ts";
import { prettyLogLine } from "../../render/pino-lines.ts";
import { type ExternalWorkerOptions, registerExternalWorker } from "./external-worker.ts";

export async function runWorker(context: Context, options: ExternalWorkerOptions): Promise<void> {
  const { output, env } = context;
  const { level } = loadConfig(env, { need: [] }).log;
  const workerEnv = await registerExternalWorker(context, options, { needsEngine: true });
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
      context.failed();
    }
  } finally {
    await guardian.close();
    await externalStore(await context.connections.database()).remove(id, reason);
  }
  output.note(`gpu-pool: worker ${id} has left: ${reason}`);
}
