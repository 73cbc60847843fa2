import { Command, CommanderError } from "commander";
import { openConnections } from "./connections.ts";
import type { Context } from "./context.ts";
import { addCycleCommand } from "./cycle.ts";
import { addDbCommand } from "./db-migrate.ts";
import { addDecideCommand } from "./decide.ts";
import { addDevCommand } from "./dev.ts";
import { addDrainCommand } from "./drain.ts";
import { completeEnvironment } from "./env-files.ts";
import { describeError, EXIT } from "./errors.ts";
import { addExplainCommand } from "./explain.ts";
import { addLogsCommand } from "./logs.ts";
import { addNotificationsCommand } from "./notifications.ts";
import { createOutput } from "./output.ts";
import { addPauseCommand } from "./pause.ts";
import { addConfigCommand } from "./pool-config.ts";
import { addPoolCommand } from "./pool-start.ts";
import { addResumeCommand } from "./resume.ts";
import { addScaleCommand } from "./scale.ts";
import { addShutdownCommand } from "./shutdown.ts";
import { addStatusCommand } from "./status.ts";
import { addSubmitCommand } from "./submit.ts";
import { addWorkerCommand } from "./worker-run.ts";

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
addSubmitCommand(program, context);
addLogsCommand(program, context);
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
  // Whoever read this, such as `head`, has enough.
  process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.failed);
});

try {
  await program.parseAsync();
  await context.connections.close();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong, or shown the help that was asked for.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    const { text, exitCode } = describeError(error, process.env);
    output.note(text);
    // Not by itself: a request that is given up on would keep the process alive.
    process.exit(exitCode);
  }
}
