import { shortJson } from "../../supabase/functions/_shared/text.ts";
import { Undecodable } from "./payload-converter.ts";

const SHOWN_CHARS = 100;

/** Any client can send any JSON to a workflow. A parser checks every field and never throws. */
export type Parsed<T> =
  // surplus: the error for an unknown field; the known fields could be read.
  { readonly ok: true; readonly value: T; readonly surplus?: string } | { readonly ok: false; readonly error: string };

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Undecodable);
}

export function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

/** No payload, or bytes that cannot be decoded. */
export function saysNothing(payload: unknown): boolean {
  return payload === undefined || payload === null || payload instanceof Undecodable;
}

export function wrong(error: string): Parsed<never> {
  return { ok: false, error };
}

export function expected(shape: string, payload: unknown): string {
  return payload instanceof Undecodable
    ? `its payload cannot be decoded, send plain JSON: ${payload.reason}`
    : `expected ${shape}, got ${show(payload)}`;
}

export function show(value: unknown): string {
  return shortJson(value, SHOWN_CHARS);
}
