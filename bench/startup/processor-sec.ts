import { execa } from "execa";

/**
 * Processor time of node with these arguments, with all its threads, in user and in kernel mode.
 * @throws Error when it fails
 */
export async function processorSec(args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  // Node itself does not tell what a child has used.
  const { stderr } = await execa(
    "bash",
    ["-c", 'TIMEFORMAT="%3U %3S"; time "$@" > /dev/null 2> /dev/null', "bash", process.execPath, ...args],
    { env },
  );
  const [user = Number.NaN, system = Number.NaN] = stderr.trim().split(" ").map(Number);
  return user + system;
}
