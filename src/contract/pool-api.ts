import { query, signal, update } from "./definitions.ts";
import type { Explanation } from "./explanations.ts";
import type { Intent } from "./intent.ts";
import type { SettingsView, Snapshot } from "./plan.ts";

/**
 * Signals, updates and queries of a pool's workflow. The payloads are those of the documentation; the workflow reads them
 * as unknown JSON, since any client may send anything.
 */

/** A signal that the pool cannot read is journaled and ignored. */
export const poolSignals = {
  scale: signal<[ScaleRequest]>("scale"),
  drain: signal("drain"),
  resume: signal("resume"),
  pause: signal("pause"),
};

/** Refused with FAILURES.invalidMessage, before it is in the history; reconfigure also with FAILURES.invalidConfig. */
export const poolUpdates = {
  scale: update<Intent, [ScaleRequest]>("scale"),
  drain: update<Intent>("drain"),
  resume: update<Intent>("resume"),
  pause: update<Intent>("pause"),
  shutdown: update<Intent>("shutdown"),
  reconfigure: update<PoolSettingsAnswer, [SettingsPatch]>("reconfigure"),
  drainWorker: update<WorkerOrderOutcome, [WorkerRequest]>("drainWorker"),
  terminateWorker: update<WorkerOrderOutcome, [WorkerRequest]>("terminateWorker"),
};

export const poolQueries = {
  status: query<PoolStatus>("status"),
  explain: query<PoolExplanation>("explain"),
  config: query<PoolSettingsAnswer>("config"),
};

export interface ScaleRequest {
  /** Number of workers; null gives control back to the policy. */
  readonly target: number | null;
  /** Seconds; without it the hold has no end. */
  readonly for?: number;
}

/** Settings of the pool by name (docs/configuration.md); null takes one away. */
export type SettingsPatch = Readonly<Record<string, unknown>>;

export interface WorkerRequest {
  /** Its id. */
  readonly worker: string;
  readonly reason?: string;
}

/** A message of an operator as the workflow read it. */
export type Message =
  | { readonly kind: "scale"; readonly target: number | null; readonly forSec: number | null }
  | { readonly kind: "drain" }
  | { readonly kind: "resume" }
  | { readonly kind: "pause" }
  | { readonly kind: "shutdown" };

/** An operator's order about one worker as the workflow read it. */
export interface WorkerOrder {
  readonly kind: "drain" | "terminate";
  /** Its id. */
  readonly worker: string;
  readonly reason: string;
}

/** The result of a worker order. external: the pool did not spawn the worker, so it is only drained, in its row. */
export interface WorkerOrderOutcome {
  readonly outcome: "ordered" | "external" | "already_leaving" | "not_living" | "unknown";
  readonly status: string | null;
}

export interface PoolStatus {
  readonly pool: string;
  readonly phase: "starting" | "watching" | "performing" | "closing";
  /** The newest wish that the pool's row holds; null: none was read yet. The snapshot may be from before it. */
  readonly intent: Intent | null;
  readonly snapshot: Snapshot | null;
  readonly lastDecision: { readonly id: string; readonly actions: number; readonly reason: string } | null;
  readonly watches: number;
  readonly messages: number;
  /** The last messages of any kind, the newest first, at most five. A run of an older version has none. */
  readonly recent?: readonly MessageOutcome[];
}

/** What became of a message. */
export interface MessageOutcome {
  /** ISO 8601. */
  readonly at: string;
  /** Its name. */
  readonly kind: string;
  readonly became: "taken" | "folded" | "ignored";
  /** What holds now, or why it was not taken. */
  readonly why: string;
}

/** The latest state, then the last decisions that held actions, newest first. */
export interface PoolExplanation {
  readonly pool: string;
  readonly now: Explanation | null;
  readonly decisions: readonly Explanation[];
}

export interface PoolSettingsAnswer {
  readonly pool: string;
  /** Null: not read yet. */
  readonly settings: SettingsView | null;
}

/** Printable, so that it can stand in a line of text. */
const SIGNED = /^([\x21-\x7e]{1,100})\/[\da-f-]{36}$/;

/**
 * The id of an update that says who sent it, as in alice@laptop. The journal and the Web UI show it; nothing is decided by
 * it, because any client may send any id.
 * @param unique a UUID
 */
export function signedUpdateId(sender: string, unique: string): string {
  const printable = sender.replace(/[^\x21-\x7e]/g, "_").slice(0, 100);
  return `${printable === "" ? "?" : printable}/${unique}`;
}

/** Null: the id does not say. */
export function senderOf(updateId: string | undefined): string | null {
  return SIGNED.exec(updateId ?? "")?.[1] ?? null;
}
