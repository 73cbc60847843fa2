import { allHandlersFinished, condition } from "@temporalio/workflow";
import type { Explanation } from "../../contract/explanations.ts";
import type { GpuPoolInput } from "../../contract/inputs.ts";
import type { SettingsView, Snapshot } from "../../contract/plan.ts";
import type { PoolStatus } from "../../contract/pool-api.ts";
import { type Inbox, openInbox } from "./inbox.ts";

/** State of a pool's workflow. */
export interface PoolState {
  readonly pool: string;
  readonly inbox: Inbox;
  phase: PoolStatus["phase"];
  /** The last good observation. */
  snapshot: Snapshot | null;
  /** Fingerprint that came with the snapshot. The next watch compares it with what it observes. */
  fingerprint: string | undefined;
  settings: SettingsView | null;
  /** The last decisions that held actions, newest first. */
  decisions: readonly Explanation[];
  /** Explains the latest observation, also where nothing was to be done. */
  latest: Explanation | null;
  watches: number;
  /** A shutdown was asked for, or the workflow was cancelled. */
  closing: boolean;
}

export function beginPool({ pool, carried }: GpuPoolInput): PoolState {
  return {
    pool,
    inbox: openInbox(carried?.messages ?? 0),
    phase: "starting",
    snapshot: carried?.snapshot ?? null,
    fingerprint: carried?.state,
    settings: carried?.settings ?? null,
    decisions: carried?.decisions ?? [],
    latest: carried?.latest ?? null,
    watches: carried?.watches ?? 0,
    closing: false,
  };
}

/** State for the next run of this pool. */
export function carriedOn(state: PoolState): NonNullable<GpuPoolInput["carried"]> {
  const { snapshot, fingerprint, settings, decisions, latest, watches, inbox } = state;
  return { snapshot, state: fingerprint, settings, decisions, latest, watches, messages: inbox.received() };
}

export function statusOf({ pool, phase, snapshot, decisions, watches, inbox }: PoolState): PoolStatus {
  return { pool, phase, snapshot, lastDecision: outline(decisions[0]), watches, messages: inbox.received() };
}

function outline(decision: Explanation | undefined): PoolStatus["lastDecision"] {
  if (decision === undefined) {
    return null;
  }
  const { decisionId: id, reason, actions } = decision;
  return { id, reason, actions: actions.reduce((sum, { count }) => sum + count, 0) };
}

/** Waits until every message has been written down and answered. */
export async function messagesSettled({ inbox }: PoolState): Promise<void> {
  await condition(() => inbox.isEmpty() && allHandlersFinished());
}

/** Like messagesSettled, but false once the pool closes, because then the run must not end. */
export async function settledWhileOpen(state: PoolState): Promise<boolean> {
  await condition(() => state.closing || (state.inbox.isEmpty() && allHandlersFinished()));
  return !state.closing;
}
