import { FunctionFailure } from "./failure.ts";
import { holdsInfinity, isNestedDeeper } from "./text.ts";

export type Body = Record<string, unknown>;

export const UUID = { pattern: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, wanted: "a UUID" };
export const ANY_TEXT = { pattern: /[^]/, wanted: "a text that is not empty" };

interface Wanted {
  readonly pattern: RegExp;
  readonly wanted: string;
}

/** Far more than the database stores, which names the field that is too deep. */
const DEEPEST_BODY = 100_000;
const HELD_NUMBERS = `without numbers beyond ${Number.MAX_SAFE_INTEGER}`;

export function badField(field: string, wanted: string): FunctionFailure {
  return new FunctionFailure(400, "invalid_request", `${field} must be ${wanted}`, field);
}

/** Reads the body as an object. Throws a 400 when it is not one, or when a number in it is beyond what can be sent on. */
export async function readBody(request: Request): Promise<Body> {
  const json = await request.text().catch(() => "");
  // Before it is parsed, which takes seconds where a body of some megabytes is nothing but levels.
  if (isNestedDeeper(json, DEEPEST_BODY)) {
    throw badField("body", `nested at most ${DEEPEST_BODY} levels deep`);
  }
  const body = parsed(json);
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new FunctionFailure(400, "invalid_request", "body must be a JSON object", "body");
  }
  for (const [field, value] of Object.entries(body)) {
    if (holdsInfinity(value)) {
      throw badField(field, HELD_NUMBERS);
    }
  }
  return body as Body;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

/** Reads a text field. Throws a 400 that names the field when it is absent or does not match. */
export function text(body: Body, field: string, { pattern, wanted }: Wanted): string {
  const value = body[field];
  if (typeof value === "string" && pattern.test(value)) {
    return value;
  }
  throw badField(field, wanted);
}

/** Like `text`, with null for a field that is absent or null. */
export function optionalText(body: Body, field: string, wanted: Wanted): string | null {
  return body[field] == null ? null : text(body, field, wanted);
}

/** Reads a list of texts; null where the field is absent or null. Throws a 400 that names the field when it is anything else. */
export function optionalTexts(body: Body, field: string): string[] | null {
  const value = body[field];
  if (value == null) {
    return null;
  }
  if (Array.isArray(value) && value.every((each): each is string => typeof each === "string" && each !== "")) {
    return value;
  }
  throw badField(field, "a list of texts that are not empty");
}

const FILENAME = { pattern: /^(?!\.{1,2}$)[^/]+$/, wanted: "a file's name, without slashes" };
const LONGEST_FILENAME_CHARS = 200;

/**
 * Reads a file's name and makes it valid for storage, because workers of the incumbent put prompts into theirs. Every
 * character but letters, digits, dots, hyphens and underscores becomes an underscore; a long name is cut before its
 * extension. Throws a 400 when the field names no file.
 */
export function filename(body: Body, field: string): string {
  const clean = text(body, field, FILENAME).replace(/[^A-Za-z0-9._-]/gu, "_");
  const extension = /\.[^.]{1,16}$/.exec(clean)?.[0] ?? "";
  return (
    clean.slice(0, clean.length - extension.length).slice(0, LONGEST_FILENAME_CHARS - extension.length) + extension
  );
}

/** Like `filename`, with null for a field that is absent or null. */
export function optionalFilename(body: Body, field: string): string | null {
  return body[field] == null ? null : filename(body, field);
}

export function flag(body: Body, field: string): boolean {
  const value = body[field] ?? false;
  if (typeof value !== "boolean") {
    throw badField(field, "true or false");
  }
  return value;
}

/** Reads a field that holds a JSON object, with null for one that is absent or null. */
export function optionalObject(body: Body, field: string): Body | null {
  const value = body[field] ?? null;
  if (typeof value !== "object" || Array.isArray(value)) {
    throw badField(field, "a JSON object");
  }
  return value as Body | null;
}

/** Reads a fraction from 0 to 1, with null for a field that is absent or null. */
export function optionalFraction(body: Body, field: string): number | null {
  const value = body[field] ?? null;
  if (value !== null && !(typeof value === "number" && value >= 0 && value <= 1)) {
    throw badField(field, "a number from 0 to 1");
  }
  return value;
}
