import { storageErrors } from "./errors.ts";

const ALLOWED = /^[\w/!\-.*'() &$@=;:+,?]+$/;
const MAX_OBJECT_NAME_CHARS = 1024;
const MAX_BUCKET_NAME_CHARS = 100;

/**
 * Returns an object's name. Throws InvalidKey (HTTP 400) when it is empty or longer than 1024 characters, has a
 * character that hosted Supabase refuses, or has an empty, `.` or `..` segment.
 */
export function checkObjectName(name: string): string {
  const segments = name.split("/");
  const sound = segments.every((segment) => segment !== "" && segment !== "." && segment !== "..");
  if (!sound || name.length > MAX_OBJECT_NAME_CHARS || !ALLOWED.test(name)) {
    throw storageErrors.invalidKey(name);
  }
  return name;
}

/** Returns a bucket's name: at most 100 characters, no slash. Throws InvalidBucketName (HTTP 400) otherwise. */
export function checkBucketName(name: string): string {
  const sound = name !== "." && name !== ".." && !name.includes("/") && name === name.trim();
  if (!sound || name.length > MAX_BUCKET_NAME_CHARS || !ALLOWED.test(name)) {
    throw storageErrors.invalidBucketName(name);
  }
  return name;
}

const UNIT_BYTES: Record<string, number> = { "": 1, B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** Reads a bucket's size limit: a number of bytes, or a text such as `20MB`. Null means that the bucket has none. */
export function parseSizeLimitBytes(limit: number | string | null): number | null {
  if (limit === null) {
    return null;
  }
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([KMG]?B?)$/i.exec(String(limit)) ?? [];
  const factor = UNIT_BYTES[(unit ?? "?").toUpperCase()];
  if (amount === undefined || factor === undefined) {
    throw storageErrors.invalidRequest(
      `file_size_limit "${limit}" is neither a number of bytes nor a size such as "20MB"`,
    );
  }
  return Math.floor(Number(amount) * factor);
}

/** Whether a bucket's list of mime types (null or empty: all) allows a type; `image/*` allows a whole family. */
export function mimeTypeAllowed(allowed: string[] | null, mimetype: string): boolean {
  if (allowed === null || allowed.length === 0) {
    return true;
  }
  const type = mimetype.split(";")[0]!.trim().toLowerCase();
  return allowed.some((entry) => {
    const wanted = entry.toLowerCase();
    return wanted === "*/*" || wanted === type || (wanted.endsWith("/*") && type.startsWith(wanted.slice(0, -1)));
  });
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a `Range` header for an object of `sizeBytes`. Returns inclusive offsets, or null when the whole object has
 * to be sent (no header, another unit than bytes, several ranges). Throws InvalidRange (HTTP 416) beyond the end.
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | null {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) {
    return null;
  }
  if (first === "") {
    const length = Math.min(Number(last), sizeBytes);
    if (length === 0) {
      throw storageErrors.rangeNotSatisfiable();
    }
    return { start: sizeBytes - length, end: sizeBytes - 1 };
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== "" && Number(last) < start) {
    return null;
  }
  if (start >= sizeBytes) {
    throw storageErrors.rangeNotSatisfiable();
  }
  return { start, end };
}
