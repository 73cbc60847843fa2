import { realpathSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../bin/gpu-pool.js", import.meta.url));
const BUILT_PROGRAM = fileURLToPath(new URL("../../../bin/gpu-pool.js", import.meta.url));

/**
 * The words with which a person runs this `gpu-pool` in a shell, from any folder: its name where PATH leads to it, else its
 * path. npx is no way, because outside this project it asks the public registry for a package of that name.
 */
export function shellCommand(env: NodeJS.ProcessEnv, ...args: readonly string[]): string {
  const program = import.meta.url.endsWith(".ts") ? PROGRAM : BUILT_PROGRAM;
  const words = leadsTo(program, env["PATH"] ?? "") ? ["gpu-pool"] : ["node", program];
  return [...words, ...args].map(quoted).join(" ");
}

function leadsTo(program: string, path: string): boolean {
  const first = path
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => realPathOf(join(folder, "gpu-pool")))
    .find((found) => found !== null);
  return first !== undefined && first === realPathOf(program);
}

function realPathOf(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
