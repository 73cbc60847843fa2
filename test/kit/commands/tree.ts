import { Readable } from "node:stream";
import type { Command } from "commander";
import { openConnections } from "../../../src/client/connections.ts";
import type { Context } from "../../../src/client/context.ts";
import { createProgram } from "../../../src/client/program.ts";
import { createOutput } from "../../../src/client/render/output.ts";

export interface Verb {
  /** As it is typed after `gpu-pool`. */
  readonly path: string;
  readonly command: Command;
}

/** The whole tree of commands; nothing is printed. */
export function commandTree(cwd = "/"): Command {
  const stream = { write: () => undefined };
  const context: Context = {
    env: {},
    output: createOutput({ stdout: stream, stderr: stream }, {}),
    connections: openConnections({}),
    stdin: Readable.from([]),
    failed: () => undefined,
  };
  return createProgram(context, cwd);
}

/** Every command below this one, groups too. */
export function verbsOf(command: Command, path = ""): Verb[] {
  return command.commands.flatMap((each) => {
    const own = `${path} ${each.name()}`.trim();
    return [{ path: own, command: each }, ...verbsOf(each, own)];
  });
}

/** Groups that do something themselves. */
const DOING_GROUPS: ReadonlySet<string> = new Set(["config", "gateway", "tasks"]);

/** Whether it does something, and is not only a group. */
export function acts({ path, command }: Verb): boolean {
  return command.commands.length === 0 || DOING_GROUPS.has(path);
}

/** The example lines of a command's help, without their meanings. */
export function examplesOf(command: Command): string[] {
  let help = "";
  command.configureOutput({ writeOut: (text) => void (help += text) }).outputHelp();
  const [, examples = ""] = help.split("\nExamples:\n");
  return examples
    .split("\n")
    .filter((line) => line.startsWith("  "))
    .map((line) => line.trim().split(/ {2,}/)[0] ?? "");
}
