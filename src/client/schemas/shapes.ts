import { z } from "zod";

// Parts of what several verbs print as JSON.

export const time = z.string().describe("ISO 8601.");
export const sinceEpochMs = z.number().describe("Milliseconds since 1970, by the database's clock.");
export const count = z.number().int().nonnegative();
export const usd = z.number().describe("USD.");
export const pool = z.string().describe("Name of the pool.");
export const reason = z.string().describe("Why, in words.");
export const anything = z.record(z.string(), z.unknown());

/** One of the names; the compiler says which of them is missing. */
export function oneOf<T extends string>(names: Readonly<Record<T, true>>): z.ZodEnum<Readonly<Record<T, T>>> {
  return z.enum(Object.fromEntries(Object.keys(names).map((name) => [name, name])) as Record<T, T>);
}
