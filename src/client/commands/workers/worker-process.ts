import { createLogger } from "../../../logger.ts";
import { startGuardian } from "../../../process/guardian.ts";
import { projectProgram } from "../../../process/program.ts";
import type { Context } from "../../context.ts";
import { prettyLogLine } from "../../render/pino-lines.ts";

export interface WorkerProcess {
  readonly id: string;
  readonly level: string;
  readonly env: Readonly<Record<string, string>>;
  /** Printed when it has started. */
  readonly greeting: string;
}

/** Runs a GPU worker on this machine until it ends or is told to. @returns why it ended */
export async function runWorkerProcess(context: Context, { id, level, env, greeting }: WorkerProcess): Promise<string> {
  const { output } = context;
  const guardian = await startGuardian({ logger: createLogger({ level, name: "gpu-pool" }) });
  let reason = "its process ended";
  try {
    const { PATH, HOME, TMPDIR, FFMPEG_PATH } = context.env;
    const { command, args } = projectProgram("gpu-worker/main");
    const running = guardian.spawn(command, args, {
      name: `worker ${id}`,
      env: { PATH, HOME, TMPDIR, ...(FFMPEG_PATH ? { FFMPEG_PATH } : {}), LOG_LEVEL: level, ...env },
      onLine: (line) => output.note(prettyLogLine(line.trimEnd(), output.style)),
    });
    output.print(greeting);
    const onSignal = () => {
      reason = "stopped on its machine";
      void running.stop();
    };
    process.once("SIGINT", onSignal).once("SIGTERM", onSignal).once("SIGHUP", onSignal);
    const { code, signal } = await running.exited;
    if (code !== 0 && reason === "its process ended") {
      reason = `its process ended with ${signal ?? `code ${code}`}`;
      context.failed();
    }
  } finally {
    await guardian.close();
  }
  return reason;
}
