import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError } from "./client.ts";

/** The server answers at most this many rows. */
const PAGE = 1_000;
const PAUSES_MS = [250, 1_000] as const;
/** No answer, too many requests, or a service that cannot work now. */
const TRANSIENT = new Set([0, 429, 502, 503, 504]);
const FOREIGN_KEY_VIOLATION = "23503";

/** What a request is answered that failed. */
export interface Refusal {
  readonly message: string;
  readonly code: string;
  readonly details: string | null;
  readonly hint: string | null;
}

export type Answer<T> =
  | { readonly data: T; readonly error: null; readonly status: number }
  | { readonly data: null; readonly error: Refusal; readonly status: number };

/** A refusal in words; `status` 0: no answer came. */
export function refusedRequest(operation: string, status: number, refusal: Refusal): DatabaseError {
  const { message, code, details, hint } = refusal;
  // The details of a broken reference name the value; a count's answer has no body to say anything.
  const text = (code === FOREIGN_KEY_VIOLATION ? details : message) || message || "no reason given";
  return new DatabaseError(operation, status, code ?? "", text, hint);
}

/** The data of one request, which is sent once. @throws DatabaseError */
export async function answerOf<T>(operation: string, request: PromiseLike<Answer<T>>): Promise<T> {
  const answer = await request;
  if (answer.error !== null) {
    throw refusedRequest(operation, answer.status, answer.error);
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
