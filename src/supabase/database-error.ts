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
