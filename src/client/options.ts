import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDurationSec } from "./render/durations.ts";

// What the declarations of commands share. A declaration imports only what is quickly loaded; its action imports the rest
// when it runs.

export interface JsonOptions {
  readonly json?: boolean;
}

export interface PoolOptions extends JsonOptions {
  readonly pool?: string;
}

export function jsonOption(): Option {
  return new Option("--json", "print JSON instead of text");
}

export function poolOption(): Option {
  return new Option("--pool <name>", "the pool (default: GPU_POOL, else main)");
}

export function addExamples(command: Command, lines: readonly (readonly [string, string])[]): void {
  const width = Math.max(...lines.map(([example]) => example.length));
  const text = lines.map(([example, meaning]) => `  ${example.padEnd(width)}  ${meaning}`).join("\n");
  command.addHelpText("after", `\nExamples:\n${text}`);
}

/** Reads a duration such as 30m as seconds. @throws InvalidArgumentError */
export function durationSec(text: string): number {
  try {
    return parseDurationSec(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** @throws InvalidArgumentError from what it returns */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^[+-]?\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** @throws InvalidArgumentError */
export function uuid(text: string): string {
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)) {
    throw new InvalidArgumentError("Expected a UUID.");
  }
  return text;
}

export interface LocalOptions {
  readonly dbType?: "supabase" | "sqlite";
  /** The file of tasks in local mode. */
  readonly dbFile?: string;
}

export function localOptions(): Option[] {
  return [
    new Option(
      "--db-type <type>",
      "where the queue is: sqlite is a file on this machine, without any server (default: DB_TYPE, else supabase)",
    ).choices(["supabase", "sqlite"]),
    new Option("--db-file <path>", "the file of tasks, with sqlite (default: SQLITE_DB_PATH_ENV, else tasks.db here)"),
  ];
}
