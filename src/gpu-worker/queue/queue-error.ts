import { cut } from "../../../supabase/functions/_shared/text.ts";

/**
 * - `unreachable`: no answer (network, timeout). Try again.
 * - `unavailable`: an answer that says "not now" (5xx, 408, 429). Try again.
 * - `refused`: the credential is not, or no longer, accepted. The worker has to end.
 * - `duplicate`: storage already holds an object of that name.
 * - `rejected`: declined, or an answer that cannot be read. Trying again would not help.
 */
export type QueueErrorKind = "unreachable" | "unavailable" | "refused" | "duplicate" | "rejected";

/** A call to the database, an edge function or storage did not succeed. */
export class QueueError extends Error {
  override readonly name = "QueueError";
  readonly kind: QueueErrorKind;
  readonly operation: string;
  readonly status: number;

  constructor(kind: QueueErrorKind, operation: string, status: number, detail: string, cause?: unknown) {
    super(`${operation} ${WORDS[kind]}${status > 0 ? ` (HTTP ${status})` : ""}: ${cut(detail, 500)}`, { cause });
    this.kind = kind;
    this.operation = operation;
    this.status = status;
  }
}

const WORDS: Record<QueueErrorKind, string> = {
  unreachable: "got no answer",
  unavailable: "is not available now",
  refused: "was refused, the worker's credential is not accepted",
  duplicate: "found an object of that name in storage",
  rejected: "failed",
};

const INVALID_AUTHORIZATION = "28000";

/** The kind of a failed call, from its HTTP status (0 = no answer) and its SQLSTATE or error code. */
export function kindOf(status: number, code: string): QueueErrorKind {
  if (code === INVALID_AUTHORIZATION || status === 401 || status === 403) {
    return "refused";
  }
  if (status === 0) {
    return "unreachable";
  }
  if (status >= 500 || status === 408 || status === 429) {
    return "unavailable";
  }
  return "rejected";
}

/** Whether the same call may succeed later. */
export function isTransient(error: unknown): error is QueueError {
  return error instanceof QueueError && (error.kind === "unreachable" || error.kind === "unavailable");
}

/** Whether the same call would be declined again. */
export function isRejected(error: unknown): error is QueueError {
  return error instanceof QueueError && error.kind === "rejected";
}

/** Whether the worker's credential was refused. */
export function isRefused(error: unknown): error is QueueError {
  return error instanceof QueueError && error.kind === "refused";
}
