import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeKeys } from "../../../dev/gateway/auth.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { JsonOptions } from "../../options.ts";

export interface SecretsOptions extends JsonOptions {
  /** host[:port]/database of the Postgres that the URLs name. */
  readonly database: string;
}

const PASSWORD_BYTES = 32;
/** Anybody may read a file whose path he can enter: nobody but the owner enters the folder. */
const FOLDER_MODE = 0o700;
/** Each container mounts single files, and its user is not the owner. */
const FILE_MODE = 0o444;

const NAMES: readonly string[] = [
  "supabase_jwt_secret",
  "supabase_anon_key",
  "supabase_service_role_key",
  "database_password",
  "supabase_db_url",
  "gateway_db_url",
  "temporal_database_password",
];

/**
 * Makes the secrets of a project of one's own as files in `folder`, one a secret, each named like the variable in small
 * letters. A file that exists is kept, and what depends on it is made from it. @throws ClientError
 */
export async function makeSecrets({ output }: Context, folder: string, options: SecretsOptions): Promise<void> {
  const made: string[] = [];
  const kept: string[] = [];
  const file = async (name: string, make: () => string): Promise<string> => {
    const path = join(folder, name);
    const found = (await readIfThere(path))?.trim();
    if (found !== undefined) {
      kept.push(name);
      if (found === "") {
        throw new ClientError(EXIT.failed, `${path} is empty`, "Delete it, and run this command again.");
      }
      return found;
    }
    const value = make();
    await writeFile(path, value, { flag: "wx", mode: FILE_MODE });
    made.push(name);
    return value;
  };
  try {
    await makeFolder(folder);
    const jwtSecret = await file("supabase_jwt_secret", randomText);
    const keys = await makeKeys({ jwtSecret });
    await file("supabase_anon_key", () => keys.anonKey);
    await file("supabase_service_role_key", () => keys.serviceRoleKey);
    const password = await file("database_password", randomText);
    await file("supabase_db_url", () => `postgresql://postgres:${password}@${options.database}`);
    await file("gateway_db_url", () => `postgresql://authenticator:${randomText()}@${options.database}`);
    await file("temporal_database_password", randomText);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) {
      throw error;
    }
    const advice = "Name a folder that you own and may write.";
    throw new ClientError(EXIT.failed, `the secrets cannot be written to ${folder} (${code})`, advice, {
      cause: error,
    });
  }
  if (options.json) {
    output.printJson({ folder, made, kept });
    return;
  }
  output.print([...made.map((name) => `made ${name}`), ...kept.map((name) => `kept ${name}`)]);
}

/** @throws ClientError if the folder holds other files and others may enter it: closing it would take those files away from them. */
async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  const isOpen = ((await stat(folder)).mode & 0o077) !== 0;
  const others = (await readdir(folder)).filter((name) => !NAMES.includes(name));
  if (isOpen && others.length > 0) {
    const what = `${folder} holds other files (${others.slice(0, 3).join(", ")}), and other users may enter it`;
    throw new ClientError(EXIT.failed, what, "Name a folder for the secrets alone, or close it: chmod 700.");
  }
  await chmod(folder, FOLDER_MODE);
}

function randomText(): string {
  return randomBytes(PASSWORD_BYTES).toString("base64url");
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return undefined;
    }
    throw error;
  }
}
