import type { Message, WorkerOrder } from "../../contract/pool-api.ts";
import { suggestion } from "../../contract/nearest-names.ts";
import { ACCOUNT_SETTINGS, POOL_SETTINGS } from "../../contract/pool-settings.ts";
import { expected, isRecord, isWhole, type Parsed, saysNothing, show, wrong } from "../payloads.ts";

const MAX_TARGET = 10_000;
const MAX_HOLD_SEC = 31_536_000;
const MAX_PATCH_CHARS = 20_000;
const MAX_ID_CHARS = 200;
const MAX_REASON_CHARS = 500;

/** A bare number is a size, because that is what people send first. */
export function parseScale(given: unknown): Parsed<Message> {
  const payload = typeof given === "number" ? { target: given } : given;
  if (!isRecord(payload)) {
    return wrong(expected(`{"target": n | null, "for"?: seconds}`, payload));
  }
  const { target, for: forSec } = payload;
  if (target !== null && !(isWhole(target) && target >= 0 && target <= MAX_TARGET)) {
    return wrong(`target: expected a whole number from 0 to ${MAX_TARGET}, or null, got ${show(target)}`);
  }
  if (forSec !== undefined && forSec !== null && !(isWhole(forSec) && forSec > 0 && forSec <= MAX_HOLD_SEC)) {
    return wrong(`for: expected whole seconds from 1 to ${MAX_HOLD_SEC}, got ${show(forSec)}`);
  }
  const value = { kind: "scale", target, forSec: isWhole(forSec) ? forSec : null } as const;
  return { ok: true, value, ...surplusIn(payload, ["target", "for"]) };
}

/**
 * A message without payload. Any is refused, such as an expiry, because nothing would act on it. Bytes that cannot be
 * decoded say nothing that could be missed, and an order to stop must not fail for them.
 */
export function parseBare<K extends "drain" | "resume" | "pause" | "shutdown">(
  kind: K,
  payload: unknown,
): Parsed<{ readonly kind: K }> {
  const surplus = saysNothing(payload) ? {} : surplusOf(payload);
  return { ok: true, value: { kind }, ...surplus };
}

/**
 * Settings by name; null takes one away. An unknown name is refused before the history has it, since its value may be a
 * secret that was typed under a wrong name. The activity checks the values.
 */
export function parsePatch(payload: unknown): Parsed<Readonly<Record<string, unknown>>> {
  if (!isRecord(payload) || Object.keys(payload).length === 0) {
    return wrong(expected(`an object of settings such as {"maxActiveGpus": 4}, null to take one away`, payload));
  }
  // An unknown name may be taken away: a newer version may have written it. The activity looks whether the row has it.
  const given = Object.keys(payload).filter((name) => payload[name] !== null);
  const unknown = given.find((name) => !POOL_SETTINGS.includes(name));
  if (unknown !== undefined && ACCOUNT_SETTINGS.includes(unknown)) {
    return wrong(`${unknown}: it is the account's, over all pools; set it in the Temporal worker's environment`);
  }
  if (unknown !== undefined) {
    const advice = "gpu-pool config explain lists them";
    return wrong(`${unknown}: no setting that a pool may have; ${suggestion(unknown, POOL_SETTINGS, advice)}`);
  }
  const long = tooLong(payload);
  if (long !== null) {
    return wrong(long);
  }
  return { ok: true, value: payload };
}

export function parseWorkerOrder(kind: WorkerOrder["kind"], payload: unknown): Parsed<WorkerOrder> {
  if (!isRecord(payload)) {
    return wrong(expected(`{"worker": id, "reason"?: text}`, payload));
  }
  const { worker, reason } = payload;
  if (typeof worker !== "string" || worker === "" || worker.length > MAX_ID_CHARS) {
    return wrong(`worker: expected a worker's id, got ${show(worker)}`);
  }
  if (reason !== undefined && reason !== null && (typeof reason !== "string" || reason.length > MAX_REASON_CHARS)) {
    return wrong(`reason: expected a text of at most ${MAX_REASON_CHARS} characters, got ${show(reason)}`);
  }
  const said = typeof reason === "string" && reason !== "" ? reason : "asked for by an operator";
  return { ok: true, value: { kind, worker, reason: said }, ...surplusIn(payload, ["worker", "reason"]) };
}

/** What is wrong with settings that cannot be handed to an activity; null: nothing. */
export function tooLong(settings: Readonly<Record<string, unknown>>): string | null {
  let chars: number;
  try {
    ({ length: chars } = JSON.stringify(settings));
  } catch {
    return "the settings are nested too deeply";
  }
  return chars <= MAX_PATCH_CHARS ? null : `the settings are longer than ${MAX_PATCH_CHARS} characters`;
}

function surplusOf(payload: unknown): { readonly surplus?: string } {
  return isRecord(payload) ? surplusIn(payload, []) : { surplus: expected("no payload", payload) };
}

/** An unknown field must not be ignored: `forSec` instead of `for` would make a hold without an end. */
function surplusIn(payload: Record<string, unknown>, known: readonly string[]): { readonly surplus?: string } {
  const unknown = Object.keys(payload).find((name) => !known.includes(name));
  const rest = known.length === 0 ? "none is known" : `known are ${known.join(", ")}`;
  return unknown === undefined ? {} : { surplus: `unknown field ${show(unknown)}; ${rest}` };
}
