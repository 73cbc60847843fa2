import { Command, CommanderError } from "commander";
import { openConnections } from "./connections.ts";
import type { Context } from "./context.ts";
import { addAlertsCommand } from "./commands/see/alerts.ts";
import { addCycleCommand } from "./commands/pool/cycle.ts";
import { addDbCommand } from "./commands/check/db-migrate.ts";
import { addDecideCommand } from "./commands/see/decide.ts";
import { addDevCommand } from "./commands/stack/dev.ts";
import { addDrainCommand } from "./commands/pool/drain.ts";
import { completeEnvironment } from "./env-files.ts";
import { describeError, EXIT } from "./errors.ts";
import { addExplainCommand } from "./commands/see/explain.ts";
import { addJanitorCommand } from "./commands/check/janitor.ts";
import { addLogsCommand } from "./commands/see/logs.ts";
import { addNotificationsCommand } from "./commands/tasks/notifications.ts";
import { createOutput } from "./render/output.ts";
import { addPauseCommand } from "./commands/pool/pause.ts";
import { addConfigCommand } from "./commands/pool/config.ts";
import { addPoolCommand } from "./commands/pool/pool-start.ts";
import { addResumeCommand } from "./commands/pool/resume.ts";
import { addScaleCommand } from "./commands/pool/scale.ts";
import { addShutdownCommand } from "./commands/pool/shutdown.ts";
import { addStatusCommand } from "./commands/see/status.ts";
import { addSubmitCommand } from "./commands/tasks/submit.ts";
import { addWorkerCommand } from "./commands/workers/worker.ts";
import { endWithNpm } from "../process/end-with-npm.ts";

const output = createOutput(process, process.env);
const context: Context = { env: process.env, output, connections: openConnections(process.env) };

const program = new Command("gpu-pool")
  .description("Keeps a pool of rented GPU workers as large as its task queue needs.")
  .option("--env-file <path>", "read variables from this file instead of .env")
  .configureHelp({ showGlobalOptions: true })
  .showSuggestionAfterError()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "gpu-pool: ")) })
  .exitOverride()
  .hook("preAction", async (root, command) => {
    const { envFile } = root.opts<{ envFile?: string }>();
    await completeEnvironment(process.env, { envFile, useStack: command.name() !== "dev", say: output.note });
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

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // EPIPE: the reader, such as `head`, has closed the pipe. That is no failure.
  process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.failed);
});

endWithNpm(process.env);
try {
  await program.parseAsync();
  await context.connections.close();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has already printed the error or the help.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    const { text, exitCode } = describeError(error, process.env);
    output.note(text);
    // An explicit exit: an abandoned request would keep the process alive.
    process.exit(exitCode);
  }
}
