import { readFile } from "node:fs/promises";
import { parseEnv } from "node:util";
import { livingStackEnvFile } from "../dev/stack-env-file.ts";
import { ClientError, EXIT } from "./errors.ts";

export type Environment = Record<string, string | undefined>;

/** Adds a file's variables to those that are set. A variable that is set to an empty text counts as unset. */
export function addMissing(env: Environment, text: string): void {
  for (const [name, value] of Object.entries(parseEnv(text))) {
    if (!env[name] && value !== undefined) {
      env[name] = value;
    }
  }
}

interface EnvFileChoice {
  /** The file given by --env-file; it replaces .env. */
  readonly envFile: string | undefined;
  /** Whether the stack that runs in this folder may be used if no database is configured. */
  readonly useStack: boolean;
  readonly say: (line: string) => void;
}

/**
 * Completes the environment from the chosen file, or else from `.env` in the current folder if that exists. If no
 * database is configured then, also from the stack that `gpu-pool dev` runs in this folder.
 * @throws ClientError when the chosen file cannot be read
 */
export async function completeEnvironment(env: Environment, choice: EnvFileChoice): Promise<void> {
  const text = await readEnvFile(choice.envFile);
  if (text !== null) {
    addMissing(env, text);
  }
  if (!choice.useStack || choice.envFile !== undefined || env["SUPABASE_URL"]) {
    return;
  }
  const stack = await livingStackEnvFile();
  if (stack !== null) {
    addMissing(env, stack.text);
    choice.say(`gpu-pool: using the stack that runs here (${stack.file})`);
  }
}

async function readEnvFile(chosen: string | undefined): Promise<string | null> {
  try {
    return await readFile(chosen ?? ".env", "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (chosen === undefined && code === "ENOENT") {
      return null;
    }
    const file = chosen ?? ".env";
    throw new ClientError(EXIT.badConfig, `${file} cannot be read (${code})`, "Name another with --env-file <path>.");
  }
}
