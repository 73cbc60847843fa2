import type { Readable } from "node:stream";
import type { Connections } from "./connections.ts";
import type { Environment } from "./env-files.ts";
import type { Output } from "./render/output.ts";

export interface Context {
  /** The environment; complete (with files) once a command's action runs. */
  readonly env: Environment;
  readonly output: Output;
  readonly connections: Connections;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  /** Ends the command with exit code 1 although it printed an answer, which says why. */
  readonly failed: () => void;
}
