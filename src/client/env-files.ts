import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import { takeSecretsFromFiles } from "../config/config.ts";
import { variables } from "../config/variables.ts";
import { livingStackEnvFile } from "../dev/stack-env-file.ts";
import { ClientError, EXIT } from "./errors.ts";

export type Environment = Record<string, string | undefined>;

/** Which services a command speaks with, and as whom. */
const CONNECTIONS: ReadonlySet<string> = new Set([
  "SUPABASE_URL",
  "SUPABASE_PUBLIC_URL",
  "SUPABASE_ANON_KEY",
  "SUPABASE_SERVICE_ROLE_KEY",
  "SUPABASE_SERVICE_KEY",
  "SUPABASE_DB_URL",
  "SUPABASE_JWT_SECRET",
  "GATEWAY_DB_URL",
  "GATEWAY_POSTGREST_URL",
  "TEMPORAL_ADDRESS",
  "TEMPORAL_NAMESPACE",
  "TEMPORAL_API_KEY",
  "RUNPOD_API_URL",
  "RUNPOD_API_KEY",
]);

/**
 * Adds a file's variables to those that are set. A variable that is set to an empty text counts as unset.
 * @param before what the errors call the place of the variables that are set.
 * @throws ClientError when the connections would come from both places although these name different services
 * @throws ConfigError when a secret's file cannot be used
 */
export function addMissing(env: Environment, text: string, file: string, before: string): void {
  const named = parseEnv(text);
  takeSecretsFromFiles(named);
  const given = Object.entries(named).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const missing = given.filter(([name]) => !env[name] || saysNothing(name, env[name]));
  const contrary = given.filter(
    ([name, value]) => CONNECTIONS.has(name) && !missing.some(([each]) => each === name) && env[name] !== value,
  );
  if (contrary.some(([name, value]) => !saysNothing(name, value)) && missing.some(([name]) => CONNECTIONS.has(name))) {
    const names = contrary.map(([name]) => name).join(", ");
    throw new ClientError(
      EXIT.usage,
      `${names}: one value ${before}, another in ${file}, so this command would mix two installations`,
      `Unset what is set ${before}, or set every connection there; --env-file <path> names the file to use.`,
    );
  }
  for (const [name, value] of missing) {
    env[name] = value;
  }
}

/** A copied .env.example holds the defaults of connections, but nobody has chosen them. */
function saysNothing(name: string, value: string): boolean {
  return CONNECTIONS.has(name) && variables.some((each) => each.name === name && each.defaultText === value);
}

interface EnvFileChoice {
  /** The current folder. */
  readonly cwd: string;
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
 * @throws ConfigError when a secret's file cannot be used
 */
export async function completeEnvironment(env: Environment, choice: EnvFileChoice): Promise<void> {
  takeSecretsFromFiles(env);
  const text = await readEnvFile(choice);
  if (text !== null) {
    addMissing(env, text, choice.envFile ?? ".env", "in the environment");
  }
  if (!choice.useStack || choice.envFile !== undefined || env["SUPABASE_URL"]) {
    return;
  }
  const stack = await livingStackEnvFile(choice.cwd);
  if (stack !== null && env["TEMPORAL_PROFILE"]) {
    throw new ClientError(
      EXIT.usage,
      `the profile ${env["TEMPORAL_PROFILE"]} names a Temporal server, and no database is set but that of the stack here (${stack.file})`,
      "Set the database that belongs to the profile (--env-file <path>), or leave the profile out.",
    );
  }
  if (stack !== null) {
    addMissing(env, stack.text, stack.file, "in the environment or in .env");
    choice.say(`gpu-pool: using the stack that runs here (${stack.file})`);
  }
}

async function readEnvFile({ cwd, envFile: chosen }: EnvFileChoice): Promise<string | null> {
  try {
    return await readFile(resolve(cwd, chosen ?? ".env"), "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (chosen === undefined && code === "ENOENT") {
      return null;
    }
    const file = chosen ?? ".env";
    throw new ClientError(EXIT.usage, `${file} cannot be read (${code})`, "Name another with --env-file <path>.");
  }
}
