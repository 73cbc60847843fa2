/*
 * Values of rows as text. A row may hold what no program of ours writes: a time that no Date holds, an error that is no
 * object, a number where a text should be. A command that fails on one row shows none of the rows after it.
 */

/** A time as ISO 8601 in UTC, or as it is stored where no Date can hold it, such as `-infinity`. */
export function isoTime(at: string | number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}

/** A text as it is, any other value as JSON. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

/** The error of a log line in words: the message, or the whole where it is of another shape; null without an error. */
export function causeOf(err: unknown): string | null {
  if (err === null || err === undefined) {
    return null;
  }
  return typeof err === "object" && "message" in err ? textOf(err.message) : textOf(err);
}

/** The fields of a value that should be an object. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : value === null || value === undefined ? {} : { value };
}
