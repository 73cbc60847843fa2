/** A call to the database that failed. `status` 0: no answer came. Never holds a key. */
export class DatabaseError extends Error {
  readonly operation: string;
  readonly status: number;
  readonly code: string;

  constructor(operation: string, status: number, code: string, message: string, hint: string | null) {
    const where = status === 0 ? "no answer" : `HTTP ${status}`;
    super(`database: ${operation} failed (${where}${code ? `, ${code}` : ""}): ${message}${hint ? `. ${hint}` : ""}`);
    this.name = "DatabaseError";
    this.operation = operation;
    this.status = status;
    this.code = code;
  }
}

/**
 * PGRST102: the request is no JSON that PostgREST can read. PT4xx: refused by a function of ours, except PT401, PT404,
 * PT408 and PT429. SQLSTATE 22: a value that its type does not take; 23502, 23514: against a constraint; 54: too large
 * or nested too deeply. A row that is missing (PT404, 23503) may still come.
 */
const FINAL = /^(?:PGRST102|PT4(?!01|04|08|29)\d\d|22...|23502|23514|54...)$/;

/**
 * Whether the same request would be refused again for the same reason. All other errors may pass by themselves: no
 * answer, a key that is rotated, a row or schema that is not there yet, a conflict with another transaction, an overload.
 */
export function isFinal(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && FINAL.test(error.code);
}
