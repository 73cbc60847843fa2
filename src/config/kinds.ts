import { z } from "zod";

export interface Kind<T> {
  /** Completes "expected …" in an error. */
  readonly allowed: string;
  /** The value as the schema reads it; a text that cannot be read is returned as it is, and the schema refuses it. */
  readonly fromText: (text: string) => unknown;
  readonly schema: z.ZodType<T>;
  /** Names the wrong part of a value that has several; null: the value as a whole is wrong. */
  readonly explain?: (error: z.ZodError, value: unknown) => string | null;
}

/** Says why the schema of this kind refused a value. */
export function complaintAbout({ allowed, explain }: Kind<unknown>, error: z.ZodError, value: unknown): string {
  return explain?.(error, value) ?? `expected ${allowed}`;
}

/** One environment variable: its name, what it accepts, its default and how `.env.example` explains it. */
export interface Variable<T = unknown> {
  readonly name: string;
  readonly kind: Kind<T>;
  readonly presence: "required" | "optional" | "defaulted";
  readonly defaultText?: string;
  readonly description: string;
  readonly secret: boolean;
  readonly aliases: readonly string[];
}

/** One variable for each setting of each group, of the setting's type. */
export type VariablesOf<Groups> = {
  readonly [G in keyof Groups]: { readonly [Name in keyof Groups[G]]: Variable<Groups[G][Name]> };
};

interface Extra {
  secret?: true;
  aliases?: readonly string[];
}

function variable<T>(presence: Variable["presence"], name: string, kind: Kind<T>, description: string, extra: Extra) {
  return { name, kind, presence, description, secret: extra.secret ?? false, aliases: extra.aliases ?? [] };
}

export function required<T>(name: string, kind: Kind<T>, description: string, extra: Extra = {}): Variable<T> {
  return variable("required", name, kind, description, extra);
}

export function optional<T>(
  name: string,
  kind: Kind<T>,
  description: string,
  extra: Extra = {},
): Variable<T | undefined> {
  return variable<T | undefined>("optional", name, kind, description, extra);
}

export function defaulted<T>(
  name: string,
  kind: Kind<T>,
  text: string,
  description: string,
  extra: Extra = {},
): Variable<T> {
  return { ...variable("defaulted", name, kind, description, extra), defaultText: text };
}

export function text(pattern = /\S/, allowed = "any text"): Kind<string> {
  return { allowed, fromText: (given) => given, schema: z.string().regex(pattern) };
}

export function whole(min: number, max: number): Kind<number> {
  const fromText = (given: string): unknown => (/^[+-]?\d+$/.test(given) ? Number(given) : given);
  return { allowed: `a whole number from ${min} to ${max}`, fromText, schema: z.int().min(min).max(max) };
}

// Longer timers overflow Node's 32-bit milliseconds and would fire at once.
const LONGEST_TIMER_SEC = 2_147_483;
export function seconds(min: number): Kind<number> {
  return whole(min, LONGEST_TIMER_SEC);
}

export function decimal(min: number, max: number, of = ""): Kind<number> {
  const fromText = (given: string): unknown => (/^\d+(\.\d+)?$/.test(given) ? Number(given) : given);
  return { allowed: `a number${of} from ${min} to ${max}`, fromText, schema: z.number().min(min).max(max) };
}

export function flag(): Kind<boolean> {
  const values: Record<string, boolean> = { true: true, "1": true, yes: true, false: false, "0": false, no: false };
  return { allowed: "true or false", fromText: (given) => values[given.toLowerCase()] ?? given, schema: z.boolean() };
}

export function oneOf<const T extends readonly [string, ...string[]]>(values: T, why = ""): Kind<T[number]> {
  const fromText = (given: string): unknown =>
    values.find((value) => value.toLowerCase() === given.toLowerCase()) ?? given;
  const allowed = values.length === 1 ? `only ${values[0]}` : `one of ${values.join(", ")}`;
  return { allowed: allowed + why, fromText, schema: z.enum(values) };
}

export function webAddress(): Kind<string> {
  const schema = z.url({ protocol: /^https?$/ });
  return { allowed: "an http or https URL", fromText: (given) => given.replace(/\/+$/, ""), schema };
}

/** The address of a Supabase project, from which those of its services follow. */
export function projectAddress(): Kind<string> {
  const { fromText, schema } = webAddress();
  const isService = (url: string) => /\/(rest|storage|functions|auth)\/v1$/.test(url);
  return {
    allowed: "the http or https URL of the project, without a path such as /rest/v1",
    fromText,
    schema: schema.refine((url) => !isService(url)),
  };
}

/** @param min fewest names. A pool's own empty list replaces the one of the environment. */
export function list(min = 0): Kind<readonly string[]> {
  const schema = z.array(z.string().min(1)).min(min).readonly();
  return { allowed: "names separated by commas", fromText: splitAtCommas, schema };
}

/** Some of these values, each once. */
export function someOf<const T extends readonly [string, ...string[]]>(values: T): Kind<readonly T[number][]> {
  const one = oneOf(values);
  const fromText = (given: string): unknown => splitAtCommas(given).map(one.fromText);
  const unique = (all: readonly unknown[]) => new Set(all).size === all.length;
  const schema = z.array(one.schema).min(1).refine(unique).readonly();
  return { allowed: `one or more of ${values.join(", ")}, separated by commas`, fromText, schema };
}

/** Texts that may hold anything, so that a JSON array is the safest way to write them. */
export function texts(pattern = /\S/, one = "texts"): Kind<readonly string[]> {
  const schema = z.array(z.string().regex(pattern)).readonly();
  return { allowed: `${one}, separated by commas or as a JSON array`, fromText: splitOrParse, schema };
}

/** A JSON array as it is; a text without one is split at its commas. */
export function splitOrParse(given: string): unknown {
  if (!given.startsWith("[")) {
    return splitAtCommas(given);
  }
  try {
    return JSON.parse(given) as unknown;
  } catch {
    return given;
  }
}

/** A text that a pool's own empty text takes away: the environment's value then does not hold either. */
export function textOrNone(pattern: RegExp, allowed: string): Kind<string> {
  return { allowed, fromText: (given) => given, schema: z.union([z.literal(""), z.string().regex(pattern)]) };
}

function splitAtCommas(given: string): string[] {
  return given.split(",").map((part) => part.trim());
}

export function logLevel() {
  const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
  const pythonSpellings: Record<string, string> = { warning: "warn", critical: "fatal" };
  const fromText = (given: string): unknown => pythonSpellings[given.toLowerCase()] ?? given.toLowerCase();
  const allowed = `one of ${levels.join(", ")} in any case; WARNING and CRITICAL are read too`;
  return { allowed, fromText, schema: z.enum(levels) };
}
