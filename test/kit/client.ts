import { Readable } from "node:stream";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { inject } from "vitest";
import { runProgram } from "../../src/client/program.ts";
import { requireSchema } from "./commands/json-output.ts";

interface Options {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input?: string;
}

interface LaunchOptions extends Options {
  /** "clone": from its sources, as in a clone without a build. Default: from the build that all tests share, at a third of the cost. */
  readonly from?: "build" | "clone";
}

const CLONE = [
  "--import",
  new URL("../../bin/register-tsx.js", import.meta.url).href,
  fileURLToPath(new URL("../../src/client/main.ts", import.meta.url)),
];

/** Starts the real command with no other environment than this. Without input its stdin is empty. */
export function launchClient(args: readonly string[], { cwd, env, input = "", from = "build" }: LaunchOptions) {
  const { PATH = "", HOME = "", TMPDIR = "/tmp" } = process.env;
  const program = from === "clone" ? CLONE : [join(inject("shared").dist, "src/client/main.js")];
  return execa(process.execPath, [...program, ...args], {
    cwd,
    env: { PATH, HOME, TMPDIR, ...env },
    extendEnv: false,
    input,
    reject: false,
  });
}

export interface Ran {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real command to its end. */
export async function runProcess(args: readonly string[], options: LaunchOptions): Promise<Ran> {
  const { exitCode, stdout, stderr } = await launchClient(args, options);
  requireSchema(args, stdout);
  return { exitCode, stdout, stderr };
}

/** Runs a command to its end as the process does, but within this one, which is some twenty times cheaper. */
export async function runClient(args: readonly string[], { cwd, env, input = "" }: Options): Promise<Ran> {
  const { PATH = "", HOME = "", TMPDIR = "/tmp" } = process.env;
  const stdout = collect();
  const stderr = collect();
  const exitCode = await runProgram(args, {
    env: { PATH, HOME, TMPDIR, ...env },
    cwd,
    stdin: Readable.from(input === "" ? [] : [input]),
    stdout,
    stderr,
  });
  requireSchema(args, stdout.text());
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

/** A stream that is no terminal. As with a process that execa runs, its text lacks the last line end. */
function collect() {
  let written = "";
  return {
    write: (text: string) => void (written += text),
    text: () => written.replace(/\n$/, ""),
  };
}
