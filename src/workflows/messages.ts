import type { Message } from "../contract/messages.ts";
import { Undecodable } from "./payload-converter.ts";
import type { DrainOrder, LeaseCause, Verdict } from "../contract/plan.ts";

/** Messages come from any client as plain JSON: nothing is believed before it is read here, and nothing here throws. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

const MAX_TARGET = 10_000;
const MAX_HOLD_SEC = 31_536_000;

export function parseScale(payload: unknown): Parsed<Message> {
  if (payload instanceof Undecodable) {
    return wrong(`its payload cannot be decoded, send plain JSON: ${payload.reason}`);
  }
  if (!isRecord(payload)) {
    return wrong(`expected {"target": n | null, "for"?: seconds}, got ${show(payload)}`);
  }
  const { target, for: forSec } = payload;
  if (target !== null && !(isWhole(target) && target >= 0 && target <= MAX_TARGET)) {
    return wrong(`target: expected a whole number from 0 to ${MAX_TARGET}, or null, got ${show(target)}`);
  }
  if (forSec !== undefined && forSec !== null && !(isWhole(forSec) && forSec > 0 && forSec <= MAX_HOLD_SEC)) {
    return wrong(`for: expected whole seconds from 1 to ${MAX_HOLD_SEC}, got ${show(forSec)}`);
  }
  return { ok: true, value: { kind: "scale", target, forSec: isWhole(forSec) ? forSec : null } };
}

/** An order without a readable payload is a graceful one: a drain sent by hand must work. */
export function parseDrainOrder(payload: unknown): DrainOrder {
  const given = isRecord(payload) ? payload : {};
  return {
    reason: typeof given["reason"] === "string" ? given["reason"] : "drain asked for by signal",
    onlyIdle: given["onlyIdle"] === true,
  };
}

export function parseVerdict(payload: unknown): Verdict {
  const given = isRecord(payload) ? payload : {};
  const { leaseCause, reason, heartbeatMs } = given;
  return {
    leaseCause: isLeaseCause(leaseCause) ? leaseCause : "host_lost",
    reason: typeof reason === "string" ? reason : "failed by signal",
    heartbeatMs: typeof heartbeatMs === "number" ? heartbeatMs : null,
  };
}

function isLeaseCause(value: unknown): value is LeaseCause {
  return value === "worker_died" || value === "stuck" || value === "host_lost";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Undecodable);
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

function wrong(error: string): Parsed<never> {
  return { ok: false, error };
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
