import { fileURLToPath } from "node:url";

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * The command line of a program of this project: tsx runs sources, plain node runs compiled code.
 * @param entry the program's path below src/ without extension, such as "gpu-worker/main".
 */
export function projectProgram(entry: string): Program {
  const isSource = import.meta.url.endsWith(".ts");
  const main = fileURLToPath(new URL(`../${entry}.${isSource ? "ts" : "js"}`, import.meta.url));
  const tsx = isSource ? ["--import", new URL("../../bin/register-tsx.js", import.meta.url).href] : [];
  return { command: process.execPath, args: [...tsx, main] };
}
