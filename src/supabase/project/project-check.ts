import { z } from "zod";
import { connectDatabase, type Database } from "../client.ts";
import { DatabaseError } from "../database-error.ts";
import { TABLES } from "../tables.ts";

/** A call about a whole project gets no longer, so that a check ends although a service hangs. */
const DEADLINE_MS = 10_000;

/** Whose key it is, as the project itself answers. `unknown`: the project could not be asked. */
export type KeyRole = "service" | "public" | "refused" | "unknown";

/** Asks with a key for rows that only the service role may read. */
export async function roleOf(url: string, key: string): Promise<{ readonly role: KeyRole; readonly detail: string }> {
  const { error, status } = await connectDatabase({ url, serviceRoleKey: key })
    [TABLES].from("pools")
    .select("name")
    .limit(1)
    .retry(false);
  if (error === null) {
    return { role: "service", detail: "it reads the pools" };
  }
  const detail = error.message || `HTTP ${status}`;
  // 42501: the role is known and may not read the table. A key of another project, or none at all, has no role.
  if (error.code === "42501") {
    return { role: "public", detail };
  }
  return { role: status === 401 || status === 403 ? "refused" : "unknown", detail };
}

/** Names of the applied migrations in their order; null where the schema is too old to tell. @throws DatabaseError */
export async function readAppliedMigrations(database: Database): Promise<readonly string[] | null> {
  try {
    return await database.call("applied_migrations", {}, z.array(z.string()));
  } catch (error) {
    if (error instanceof DatabaseError && error.code === "PGRST202") {
      return null;
    }
    throw error;
  }
}

export interface Bucket {
  readonly isPublic: boolean;
  /** Largest file, in bytes; null: the project's own limit. */
  readonly fileSizeLimitBytes: number | null;
}

/** @returns null when there is no such bucket. @throws Error when storage does not answer */
export async function readBucket(database: Database, name: string): Promise<Bucket | null> {
  const { data, error } = await database[TABLES].storage.getBucket(name);
  if (error === null) {
    return { isPublic: data.public, fileSizeLimitBytes: data.file_size_limit ?? null };
  }
  if (/not found/i.test(error.message)) {
    return null;
  }
  throw new Error(`storage did not show bucket ${name}: ${error.message}`, { cause: error });
}

export interface FunctionProbe {
  readonly url: string;
  readonly publicKey: string;
}

/**
 * Asks an edge function without doing anything: none takes PUT, so the function itself answers 405.
 * @returns its status; 404: not deployed, 401: the platform let no opaque token through. @throws Error without an answer
 */
export async function probeFunction({ url, publicKey }: FunctionProbe, name: string): Promise<number> {
  // This one hands requests on to others, by the rest of the path.
  const path = /^old[-_]worker$/.test(name) ? `${name}/functions/v1/task-counts` : name;
  const answer = await fetch(`${url}/functions/v1/${path}`, {
    method: "PUT",
    headers: { apikey: publicKey, authorization: "Bearer gpw_check" },
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  await answer.body?.cancel();
  return answer.status;
}

/** Asks the function `task-counts`, which only reads, as one caller. @returns its status. @throws Error without an answer */
export async function countTasksAs(
  { url, publicKey }: FunctionProbe,
  bearer: string | null,
): Promise<{ readonly status: number; readonly text: string }> {
  const authorization = bearer === null ? {} : { authorization: `Bearer ${bearer}` };
  const answer = await fetch(`${url}/functions/v1/task-counts`, {
    method: "POST",
    headers: { apikey: publicKey, "content-type": "application/json", ...authorization },
    body: "{}",
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  return { status: answer.status, text: (await answer.text()).slice(0, 200) };
}

/** How far a service's clock is ahead of this machine's, in ms, by the time in an answer; null: it shows none. */
export async function clockAheadMs(url: string): Promise<number | null> {
  const askedAtMs = Date.now();
  const answer = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(DEADLINE_MS) });
  await answer.body?.cancel();
  const shownMs = Date.parse(answer.headers.get("date") ?? "");
  // The header is cut to whole seconds, and was written at some time during the request.
  return Number.isNaN(shownMs) ? null : shownMs + 500 - (askedAtMs + Date.now()) / 2;
}
