import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * The command line of a program of this project: tsx runs sources, plain node runs compiled code.
 * @param entry the program's path below src/ without extension, such as "gpu-worker/main".
 */
export function projectProgram(entry: string): Program {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const main = fileURLToPath(new URL(`../${entry}.${extension}`, import.meta.url));
  const tsx = extension === "ts" ? ["--import", pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href] : [];
  return { command: process.execPath, args: [...tsx, main] };
}
