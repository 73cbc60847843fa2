import { z } from "zod";
import { plainText } from "./plausible.ts";

export const LONGEST_TEXT = 200;

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly detail: string };

/** One page of a list. `nextCursor` is null only where the page proves that it is the last. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** Only the id is required, because it alone identifies a thing. It stands in addresses, so its characters are limited. */
const identified = z.object({ id: z.string().regex(/^\w[\w.:-]{0,127}$/) });

const paginationSchema = z
  .object({ nextCursor: z.string().refine(isWellFormed).nullish(), hasNextPage: z.boolean().nullish() })
  .nullish();

/** The id of a thing. `detail` names fields, never their values. */
export function readId(body: unknown, noun: string): Read<string> {
  const parsed = identified.safeParse(body);
  return parsed.success
    ? { ok: true, value: parsed.data.id }
    : { ok: false, detail: `no ${noun}: ${places(parsed.error)}` };
}

export interface PageForm {
  /** The key of the entries, such as `pods`. */
  readonly key: string;
  /** What the entries are, in the plural, for error texts. */
  readonly nouns: string;
  /** The API answers this list in one piece: a body without any `pagination` is the whole list. */
  readonly inOnePiece?: boolean;
}

/** The entries of one page as they are. A page that does not show whether more entries exist is an error. */
export function readPage(body: unknown, { key, nouns, inOnePiece = false }: PageForm): Read<Page<unknown>> {
  const parsed = z.object({ [key]: z.array(z.unknown()), pagination: paginationSchema }).safeParse(body);
  if (!parsed.success) {
    return { ok: false, detail: `no page of ${nouns}: ${places(parsed.error)}` };
  }
  const items = parsed.data[key] as readonly unknown[];
  const pagination = parsed.data["pagination"] as z.infer<typeof paginationSchema>;
  const { hasNextPage, nextCursor } = pagination ?? {};
  const last = { ok: true, value: { items, nextCursor: null } } as const;
  if (hasNextPage === false || items.length === 0 || (inOnePiece && pagination === undefined)) {
    return last;
  }
  if (nextCursor) {
    return { ok: true, value: { items, nextCursor } };
  }
  if (hasNextPage) {
    return { ok: false, detail: `more ${nouns} announced, but no cursor to reach them` };
  }
  // The key is there without a value: the provider says that no page follows.
  return nextCursor === null
    ? last
    : { ok: false, detail: `a page of ${items.length} ${nouns} without a word on whether more follow` };
}

/** The text as the database can store it; null: no text, or an empty one. */
export function textOf(raw: unknown, longest = LONGEST_TEXT): string | null {
  return typeof raw === "string" && raw !== "" ? plainText(raw, longest) : null;
}

export function booleanOf(raw: unknown): boolean | null {
  return typeof raw === "boolean" ? raw : null;
}

export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/u.test(text);
}

function places(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".") || "body"} (${issue.code})`).join(", ");
}
