import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError } from "./client.ts";

/** The server answers at most this many rows. */
const PAGE = 1_000;
const PAUSES_MS = [250, 1_000] as const;
/** No answer, too many requests, or a service that cannot work now. */
const TRANSIENT = new Set([0, 429, 502, 503, 504]);
const FOREIGN_KEY_VIOLATION = "23503";

export type Answer<T> =
  | { readonly data: T; readonly error: null; readonly status: number }
  | {
      readonly data: null;
      readonly error: { message: string; code: string; details: string | null; hint: string | null };
      readonly status: number;
    };

/** The data of one request, which is sent once. @throws DatabaseError */
export async function answerOf<T>(operation: string, request: PromiseLike<Answer<T>>): Promise<T> {
  const answer = await request;
  if (answer.error !== null) {
    const { message, code, details, hint } = answer.error;
    // The details of a broken reference name the value.
    const text = (code === FOREIGN_KEY_VIOLATION ? details : message) || message || "no reason given";
    throw new DatabaseError(operation, answer.status, code ?? "", text, hint);
  }
  return answer.data;
}

/** The data of a request that changes nothing: tried up to three times. @throws DatabaseError */
export async function readOne<T>(operation: string, request: () => PromiseLike<Answer<T>>): Promise<T> {
  for (const pauseMs of PAUSES_MS) {
    try {
      return await answerOf(operation, request());
    } catch (error) {
      if (!(error instanceof DatabaseError) || !TRANSIENT.has(error.status)) {
        throw error;
      }
      await sleep(pauseMs);
    }
  }
  return await answerOf(operation, request());
}

/**
 * Every row of a request, page by page, or the first `limit` of them. The request must have a total order.
 * @throws DatabaseError when any page fails: a part is never taken for the whole.
 */
export async function readAll<T>(
  operation: string,
  request: (from: number, to: number) => PromiseLike<Answer<T[]>>,
  limit = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const rows: T[] = [];
  while (rows.length < limit) {
    const from = rows.length;
    const wanted = Math.min(PAGE, limit - from);
    const page = await readOne(operation, () => request(from, from + wanted - 1));
    rows.push(...page);
    if (page.length < wanted) {
      break;
    }
  }
  return rows;
}
