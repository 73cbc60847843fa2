import { setTimeout as sleep } from "node:timers/promises";
import type { z } from "zod";
import { storable, UnstorableError } from "../../supabase/functions/_shared/text.ts";
import { DatabaseError } from "./database-error.ts";

/** Rows asked for at once. The server may answer fewer: a project's limit ("Max rows") is not known here. */
const PAGE = 1_000;
const PAUSES_MS = [250, 1_000] as const;
/** A read that failed after this time is not tried again: it has used up its deadline. */
const TRY_AGAIN_WITHIN_MS = 5_000;
/** No answer, too many requests, or a service that cannot work now. */
const TRANSIENT = new Set([0, 429, 502, 503, 504]);
const FOREIGN_KEY_VIOLATION = "23503";
const SCHEMA_HINT = "The database may be older than this program: gpu-pool db status.";

interface Refusal {
  readonly message: string;
  readonly code: string;
  readonly details: string | null;
  readonly hint: string | null;
}

interface Success<T> {
  readonly data: T;
  readonly error: null;
  readonly status: number;
  readonly count?: number | null;
}

type Answer<T> = Success<T> | { readonly data: null; readonly error: Refusal; readonly status: number };

/** A request as supabase-js builds it; it is sent when it is awaited. */
interface Request<T> extends PromiseLike<Answer<T>> {
  /** Whether supabase-js itself repeats what failed. */
  retry(enabled: boolean): PromiseLike<Answer<T>>;
}

/** The data of one request, which is sent once: an unanswered write may have happened. @throws DatabaseError */
export async function answerOf<T>(operation: string, request: Request<T>): Promise<T> {
  return (await succeeded(operation, request)).data;
}

/** The number of rows that a counting request met; it is sent once. @throws DatabaseError */
export async function countOf(operation: string, request: Request<unknown>): Promise<number> {
  const { count, status } = await succeeded(operation, request);
  if (typeof count !== "number") {
    throw new DatabaseError(operation, status, "", "the answer has no count", null);
  }
  return count;
}

/** The data of a request that changes nothing: tried up to three times. @throws DatabaseError */
export async function readOne<T>(operation: string, request: () => Request<T>): Promise<T> {
  return await tryAgain(() => answerOf(operation, request()));
}

/** The count of a request that changes nothing: tried up to three times. @throws DatabaseError */
export async function readCount(operation: string, request: () => Request<unknown>): Promise<number> {
  return await tryAgain(() => countOf(operation, request()));
}

/**
 * Every row of a request, page by page, or the first `limit` of them. Only an empty page proves the end, because a short
 * one may be the server's limit.
 * @param request asks for at most `count` rows after `last`, the last row so far. It must have a total order, and must not
 *   count rows from the start, because rows that come or go meanwhile would shift the pages.
 * @throws DatabaseError when any page fails: a part is never taken for the whole.
 */
export async function readAll<T>(
  operation: string,
  request: (count: number, last: T | undefined) => Request<T[]>,
  limit = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const rows: T[] = [];
  while (rows.length < limit) {
    const count = Math.min(PAGE, limit - rows.length);
    const page = await readOne(operation, () => request(count, rows.at(-1)));
    if (page.length === 0) {
      break;
    }
    rows.push(...page);
  }
  return rows;
}

/** Arguments or rows as the database takes them. @throws DatabaseError PT400 when they cannot be made storable. */
export function sendable<T>(operation: string, value: T): T {
  try {
    return storable(value);
  } catch (error) {
    if (error instanceof UnstorableError) {
      throw new DatabaseError(operation, 400, "PT400", error.message, null);
    }
    throw error;
  }
}

/** A value as PostgREST reads it in the filter of an `or`. */
export function quoted(value: string): string {
  return `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** The value in its declared shape. @throws DatabaseError */
export function shaped<T>(operation: string, shape: z.ZodType<T>, value: unknown): T {
  const parsed = shape.safeParse(value ?? null);
  if (!parsed.success) {
    throw new DatabaseError(operation, 200, "", `unexpected answer: ${parsed.error.message}`, SCHEMA_HINT);
  }
  return parsed.data;
}

async function succeeded<T>(operation: string, request: Request<T>): Promise<Success<T>> {
  const answer = await request.retry(false);
  if (answer.error === null) {
    return answer;
  }
  const { message, code, details, hint } = answer.error;
  // Only a broken reference's details name the value. A count has no body, hence no reason.
  const text = (code === FOREIGN_KEY_VIOLATION && details) || message || "no reason given";
  throw new DatabaseError(operation, answer.status, code ?? "", text, hint);
}

async function tryAgain<T>(attempt: () => Promise<T>): Promise<T> {
  const startedAt = Date.now();
  for (const pauseMs of PAUSES_MS) {
    try {
      return await attempt();
    } catch (error) {
      const isTransient = error instanceof DatabaseError && TRANSIENT.has(error.status);
      if (!isTransient || Date.now() - startedAt > TRY_AGAIN_WITHIN_MS) {
        throw error;
      }
      await sleep(pauseMs);
    }
  }
  return await attempt();
}
