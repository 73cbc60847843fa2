import type { Readable } from "node:stream";
import type { Command } from "commander";
import { Option } from "commander";
import { loadConfig } from "../config/config.ts";
import { table } from "../config/variables.ts";
import type { Connections } from "./connections.ts";
import type { Environment } from "./env-files.ts";
import { ClientError, EXIT } from "./errors.ts";
import { type Output, plain } from "./render/output.ts";

export interface Context {
  /** The environment; complete (with files) once a command's action runs. */
  readonly env: Environment;
  readonly output: Output;
  readonly connections: Connections;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  /** Ends the command with exit code 1 although it printed an answer, which says why. */
  readonly failed: () => void;
}

export interface PoolOptions {
  readonly pool?: string;
  readonly json?: boolean;
}

export function jsonOption(): Option {
  return new Option("--json", "print JSON instead of text");
}

export function poolOption(): Option {
  return new Option("--pool <name>", "the pool (default: GPU_POOL, else main)");
}

/** The name of the pool that a command is about. @throws ClientError, ConfigError */
export function poolName(context: Context, { pool }: PoolOptions): string {
  if (pool === undefined) {
    return loadConfig(context.env, { need: [] }).pool.name;
  }
  const { kind } = table.pool.name;
  if (!kind.schema.safeParse(pool).success) {
    throw new ClientError(EXIT.usage, `--pool ${plain(pool)} is no pool's name`, `Expected ${kind.allowed}.`);
  }
  return pool;
}

export function addExamples(command: Command, lines: readonly (readonly [string, string])[]): void {
  const width = Math.max(...lines.map(([example]) => example.length));
  const text = lines.map(([example, meaning]) => `  ${example.padEnd(width)}  ${meaning}`).join("\n");
  command.addHelpText("after", `\nExamples:\n${text}`);
}
