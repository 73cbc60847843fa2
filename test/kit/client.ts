import { fileURLToPath } from "node:url";
import { execa } from "execa";

const BIN = fileURLToPath(new URL("../../bin/gpu-pool.js", import.meta.url));

interface Options {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Starts the real command with no other environment than this. Without input its stdin is empty. */
export function launchClient(args: readonly string[], { cwd, env, input = "" }: Options) {
  const { PATH = "", HOME = "", TMPDIR = "/tmp" } = process.env;
  return execa(process.execPath, [BIN, ...args], {
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
export async function runClient(args: readonly string[], options: Options): Promise<Ran> {
  const { exitCode, stdout, stderr } = await launchClient(args, options);
  return { exitCode, stdout, stderr };
}
