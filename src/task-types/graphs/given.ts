import { expected } from "../read-value.ts";
import type { Given, Problem } from "../resolved.ts";

/** A file that a segment needs, with the parameter that names it. */
export interface NamedFile {
  readonly field: string;
  readonly file: string;
}

export function valueOf<T>(given: Given, name: string): T | undefined {
  return given[name]?.value as T | undefined;
}

/** The value of a list at a place; undefined where the list is not given or has none there. */
export function itemOf<T>(given: Given, name: string, index: number): T | undefined {
  return valueOf<readonly T[]>(given, name)?.[index];
}

/** A problem of a parameter, by the field that gave it. @param at a place within its value, such as "[2].url" */
export function problemOf(given: Given, name: string, allowed: string, value: unknown, at = ""): Problem {
  return { field: `${given[name]?.from[0] ?? `params.${name}`}${at}`, what: expected(allowed, value) };
}

/** Files that were given as one or as a list. */
export function filesOf(given: Given, name: string): string[] {
  const value = valueOf<string | readonly string[]>(given, name);
  return value === undefined ? [] : [value].flat();
}
