import { Command, CommanderError } from "commander";
import { packageVersion } from "../config/version.ts";
import { addBacktestCommands } from "./commands/backtest/backtest-commands.ts";
import { addCheckCommands } from "./commands/check/check-commands.ts";
import { addCompletionCommands } from "./commands/completion/completion-commands.ts";
import { addPoolCommands } from "./commands/pool/pool-commands.ts";
import { addSeeCommands } from "./commands/see/see-commands.ts";
import { addStackCommands } from "./commands/stack/stack-commands.ts";
import { addTaskCommands } from "./commands/tasks/task-commands.ts";
import { addVolumeCommands } from "./commands/volumes/volume-commands.ts";
import { addWorkerCommands } from "./commands/workers/worker-commands.ts";
import { openConnections } from "./connections.ts";
import type { Context } from "./context.ts";
import type { Environment } from "./env-files.ts";
import { EXIT } from "./errors.ts";
import { createOutput, type OutStream } from "./render/output.ts";

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
  const program = createProgram(context, cwd);
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has already printed the error or the help.
      exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      if (error.exitCode !== 0 && error.code !== "commander.help") {
        output.note(`  ${nameOf(program, args)} --help shows how it is used`);
      }
    } else {
      const { describeError } = await import("./describe-error.ts");
      const described = describeError(error, env);
      output.note(described.text.split("\n"));
      exitCode = described.exitCode;
    }
  }
  await context.connections.close();
  return exitCode;
}

/** The command that the arguments call, as far as they name one. */
function nameOf(program: Command, args: readonly string[]): string {
  let [called, name] = [program, program.name()];
  for (const arg of args) {
    const next = called.commands.find((each) => each.name() === arg || each.aliases().includes(arg));
    [called, name] = next === undefined ? [called, name] : [next, `${name} ${next.name()}`];
  }
  return name;
}

/** @param cwd the folder of the file `.env` */
export function createProgram(context: Context, cwd: string): Command {
  const { env, output } = context;
  const lines = (text: string) => text.replace(/\n$/, "").split("\n");
  const program = new Command("gpu-pool")
    .description("Keeps a pool of rented GPU workers as large as its task queue needs.")
    .version(`gpu-pool ${packageVersion()}, Node ${process.versions.node}`, "-V, --version", "print the version")
    .option("--env-file <path>", "read variables from this file instead of .env")
    .option("--profile <name>", "the profile of Temporal's configuration file (default: TEMPORAL_PROFILE)")
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => output.print(lines(text)),
      writeErr: (text) => output.note(lines(text)),
      outputError: (text, write) => write(text.replace(/^error: /, "gpu-pool: ")),
    })
    .exitOverride()
    .hook("preAction", async (root, command) => {
      const { completeEnvironment } = await import("./env-files.ts");
      const { envFile, profile } = root.opts<{ envFile?: string; profile?: string }>();
      if (profile !== undefined) {
        env["TEMPORAL_PROFILE"] = profile;
      }
      await completeEnvironment(env, { cwd, envFile, useStack: command.name() !== "dev", say: output.note });
    });
  program.commandsGroup("Run it:");
  addStackCommands(program, context);
  program.commandsGroup("Pools:");
  addPoolCommands(program, context);
  program.commandsGroup("See what happens, what it costs, and why:");
  addSeeCommands(program, context);
  program.commandsGroup("Try other settings:");
  addBacktestCommands(program, context);
  program.commandsGroup("Tasks:");
  addTaskCommands(program, context);
  program.commandsGroup("GPU workers and their volumes:");
  addWorkerCommands(program, context);
  addVolumeCommands(program, context);
  program.commandsGroup("Check and prepare:");
  addCheckCommands(program, context);
  addCompletionCommands(program, context);
  return program;
}
