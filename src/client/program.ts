import { Command, CommanderError } from "commander";
import { openConnections } from "./connections.ts";
import type { Context } from "./context.ts";
import { addAlertsCommand } from "./commands/see/alerts.ts";
import { addCycleCommand } from "./commands/pool/cycle.ts";
import { addDbCommand } from "./commands/check/db-migrate.ts";
import { addDecideCommand } from "./commands/see/decide.ts";
import { addDevCommand } from "./commands/stack/dev.ts";
import { addDrainCommand } from "./commands/pool/drain.ts";
import { completeEnvironment, type Environment } from "./env-files.ts";
import { describeError, EXIT } from "./errors.ts";
import { addExplainCommand } from "./commands/see/explain.ts";
import { addJanitorCommand } from "./commands/check/janitor.ts";
import { addLogsCommand } from "./commands/see/logs.ts";
import { addNotificationsCommand } from "./commands/tasks/notifications.ts";
import { createOutput, type OutStream } from "./render/output.ts";
import { addPauseCommand } from "./commands/pool/pause.ts";
import { addConfigCommand } from "./commands/pool/config.ts";
import { addPoolCommand } from "./commands/pool/pool-start.ts";
import { addResumeCommand } from "./commands/pool/resume.ts";
import { addScaleCommand } from "./commands/pool/scale.ts";
import { addShutdownCommand } from "./commands/pool/shutdown.ts";
import { addStatusCommand } from "./commands/see/status.ts";
import { addSubmitCommand } from "./commands/tasks/submit.ts";
import { addWorkerCommand } from "./commands/workers/worker.ts";

interface Caller {
  readonly env: Environment;
  readonly cwd: string;
  readonly stdin: Context["stdin"];
  readonly stdout: OutStream;
  readonly stderr: OutStream;
}

/** Runs one command; `env` is completed from files. @returns its exit code */
export async function runProgram(
  args: readonly string[],
  { env, cwd, stdin, stdout, stderr }: Caller,
): Promise<number> {
  let exitCode: number = EXIT.ok;
  const output = createOutput({ stdout, stderr }, env);
  const failed = () => void (exitCode = EXIT.failed);
  const context: Context = { env, output, connections: openConnections(env), stdin, failed };
  try {
    await createProgram(context, { cwd, stdout, stderr }).parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has already printed the error or the help.
      exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    } else {
      const described = describeError(error, env);
      output.note(described.text);
      exitCode = described.exitCode;
    }
  }
  await context.connections.close();
  return exitCode;
}

function createProgram(context: Context, { cwd, stdout, stderr }: Pick<Caller, "cwd" | "stdout" | "stderr">): Command {
  const { env, output } = context;
  const program = new Command("gpu-pool")
    .description("Keeps a pool of rented GPU workers as large as its task queue needs.")
    .option("--env-file <path>", "read variables from this file instead of .env")
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, "gpu-pool: ")),
    })
    .exitOverride()
    .hook("preAction", async (root, command) => {
      const { envFile } = root.opts<{ envFile?: string }>();
      await completeEnvironment(env, { cwd, envFile, useStack: command.name() !== "dev", say: output.note });
    });
  addDevCommand(program, context);
  addDbCommand(program, context);
  addPoolCommand(program, context);
  addStatusCommand(program, context);
  addAlertsCommand(program, context);
  addSubmitCommand(program, context);
  addLogsCommand(program, context);
  addJanitorCommand(program, context);
  addNotificationsCommand(program, context);
  addScaleCommand(program, context);
  addDrainCommand(program, context);
  addResumeCommand(program, context);
  addPauseCommand(program, context);
  addShutdownCommand(program, context);
  addConfigCommand(program, context);
  addExplainCommand(program, context);
  addDecideCommand(program, context);
  addCycleCommand(program, context);
  addWorkerCommand(program, context);
  return program;
}
