import { shortJson } from "../../supabase/functions/_shared/text.ts";
import type { Kind } from "./kinds.ts";
import { type Level, own } from "./levels.ts";
import type { Parameter } from "./parameters.ts";
import type { Problem } from "./resolved.ts";
import { type Size, sizeOf } from "./size.ts";

const SHOWN_CHARS = 80;

export interface Found<T = unknown> {
  readonly value: T;
  /** Where it was given, such as `params.orchestrator_details.model_name`. */
  readonly field: string;
}

/** Gets the problems of one resolution. */
export type Complain = (problem: Problem) => void;

/** The value of the first level that has one; undefined: no level has, or it is wrong. */
export function readValue(
  { name, aliases, kind, perSegment }: Parameter,
  levels: readonly Level[],
  segment: number,
  complain: Complain,
): Found | undefined {
  for (const { path, fields } of levels) {
    const list = perSegment === undefined ? undefined : own(fields, perSegment);
    const ofSegment: unknown = Array.isArray(list) ? (list[segment] ?? undefined) : undefined;
    if (ofSegment !== undefined) {
      return read(kind, ofSegment, `${path}.${perSegment}[${segment}]`, complain);
    }
    const given = [name, ...aliases].filter((each) => isGiven(kind, own(fields, each)));
    if (given.length > 0) {
      const values = given.map((each) => read(kind, own(fields, each), `${path}.${each}`, complain));
      return agreed(values, complain);
    }
  }
  return undefined;
}

function isGiven({ isNoneIfEmpty }: Kind, value: unknown): boolean {
  return value !== undefined && !(isNoneIfEmpty && value === "");
}

function agreed([first, ...others]: readonly (Found | undefined)[], complain: Complain): Found | undefined {
  for (const other of others) {
    if (first !== undefined && other !== undefined && !isSame(first.value, other.value)) {
      complain(contradiction(other, first));
    }
  }
  return first;
}

function isSame(one: unknown, other: unknown): boolean {
  return shortJson(one, Infinity) === shortJson(other, Infinity);
}

function contradiction(one: Found, other: Found): Problem {
  const says = `says ${quote(one.value)} where ${other.field} says ${quote(other.value)}; give one of the two`;
  return { field: one.field, what: says };
}

/** Each side of a size may be given by itself, or both in one value. */
export function readSize(
  { name, aliases, kind }: Parameter,
  side: Kind,
  levels: readonly Level[],
  complain: Complain,
): Partial<Record<keyof Size, Found<number>>> {
  const sides: Partial<Record<keyof Size, Found<number>>> = {};
  for (const level of levels) {
    const both = readValue({ name, aliases, kind, isRequired: false, meaning: "" }, [level], 0, complain);
    for (const key of ["width", "height"] as const) {
      const given = own(level.fields, key);
      const single = given === undefined ? undefined : read(side, given, `${level.path}.${key}`, complain);
      const part = both && { value: sizeOf(String(both.value))[key], field: both.field };
      if (single !== undefined && part !== undefined && single.value !== part.value) {
        complain(contradiction(part, single));
      }
      const found = (single as Found<number> | undefined) ?? part;
      if (found !== undefined) {
        sides[key] ??= found;
      }
    }
  }
  return sides;
}

function read({ schema, allowed }: Kind, value: unknown, field: string, complain: Complain): Found | undefined {
  const parsed = schema.safeParse(value);
  if (parsed.success) {
    return { value: parsed.data, field };
  }
  complain({ field, what: expected(allowed, value) });
  return undefined;
}

export function expected(allowed: string, value: unknown): string {
  // A longer integer was rounded when it was read, so it is not shown.
  return Number.isInteger(value) && !Number.isSafeInteger(value)
    ? `expected a number from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}, got a longer one`
    : `expected ${allowed}, got ${quote(value)}`;
}

function quote(value: unknown): string {
  return shortJson(value, SHOWN_CHARS);
}
