import { allHandlersFinished, condition, setCurrentDetails, workflowInfo } from "@temporalio/workflow";
import type { Explanation } from "../../contract/explanations.ts";
import type { GpuPoolInput } from "../../contract/inputs.ts";
import type { Intent } from "../../contract/intent.ts";
import type { SettingsView, Snapshot } from "../../contract/plan.ts";
import type { MessageOutcome, PoolStatus } from "../../contract/pool-api.ts";
import type { SignalBatch } from "../../contract/signal-batch.ts";
import { describePool } from "./details.ts";
import { type Inbox, openInbox } from "./inbox.ts";
import { withRecent } from "./recent.ts";
import { writeSignals } from "./refusals.ts";

/** Why messages are refused during a shutdown. */
export const CLOSING = "the pool is shutting down";

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
  /** The newest wish that the pool's row holds, from an answer or from an observation. */
  intent: Intent | null;
  /** The last decisions that held actions, newest first. */
  decisions: readonly Explanation[];
  /** Explains the latest observation, also where nothing was to be done. */
  latest: Explanation | null;
  watches: number;
  /** The last messages, the newest first. */
  recent: readonly MessageOutcome[];
  /** A shutdown was asked for, or the workflow was cancelled. */
  closing: boolean;
  /** closed: the pool's row says closing, so that messages are refused. */
  readonly row: { closed: boolean };
  /** Only a number of rounds was asked for: the run does not continue as new. */
  readonly isRound: boolean;
}

/** How long a run that is full waits for the answers of its updates, and for how many more events. */
const LAST_ANSWERS = "30s";
const MORE_EVENTS = 1_000;
const FULL_HISTORY = 2_000;

export function beginPool({ pool, carried, rounds }: GpuPoolInput): PoolState {
  const row = { closed: false };
  const inbox = openInbox(carried ?? { messages: 0 }, async (batch) => {
    noteMessages(state, await writeSignals(pool, row.closed ? refused(batch) : batch));
  });
  const state: PoolState = {
    pool,
    inbox,
    row,
    phase: "starting",
    snapshot: carried?.snapshot ?? null,
    fingerprint: carried?.state,
    settings: carried?.settings ?? null,
    intent: carried?.intent ?? carried?.snapshot?.intent ?? null,
    decisions: carried?.decisions ?? [],
    latest: carried?.latest ?? null,
    watches: carried?.watches ?? 0,
    closing: false,
    isRound: rounds !== undefined,
    recent: carried?.recent ?? [],
  };
  return state;
}

/** Shows what became of these messages, the oldest first, in the Web UI. */
export function noteMessages(state: PoolState, outcomes: readonly MessageOutcome[]): void {
  state.recent = withRecent(state.recent, outcomes);
  setCurrentDetails(describePool(statusOf(state)));
}

/** The batch as it is journaled after a shutdown. */
function refused({ last, messages, ignored, folded }: SignalBatch): SignalBatch {
  const reason = CLOSING;
  const late = messages.map(({ place, message: { kind } }) => ({ place, kind, reason }));
  const { ignored: unreadable = 0, ...kinds } = folded;
  const count = Object.values(kinds).reduce((sum, each) => sum + each, unreadable);
  return { last, messages: [], ignored: [...ignored, ...late], folded: count === 0 ? {} : { ignored: count } };
}

/**
 * Whether the run must end soon: the server says so because of its size or its updates, or it has too many events.
 * While messages keep coming, the server fails each workflow task in which a hundred came, and a task takes longer
 * the longer the history is that it replays. In the end the server refuses messages.
 */
export function isFull({ closing, isRound }: PoolState): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return !closing && !isRound && (continueAsNewSuggested || historyLength >= FULL_HISTORY);
}

/** Answers and observations may come out of order; the highest version is the newest. */
export function noteIntent(state: PoolState, intent: Intent): void {
  if (state.intent === null || intent.version >= state.intent.version) {
    state.intent = intent;
  }
}

/** State for the next run of this pool. */
export function carriedOn(state: PoolState): NonNullable<GpuPoolInput["carried"]> {
  const { snapshot, fingerprint, settings, intent, decisions, latest, watches, recent, inbox } = state;
  const counts = { messages: inbox.received(), signals: inbox.signals(), waiting: inbox.waiting() };
  return { snapshot, state: fingerprint, settings, intent, decisions, latest, watches, recent, ...counts };
}

export function statusOf({ pool, phase, intent, snapshot, decisions, watches, recent, inbox }: PoolState): PoolStatus {
  const counts = { watches, messages: inbox.received() };
  return { pool, phase, intent, snapshot, lastDecision: outline(decisions[0]), ...counts, recent };
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

/**
 * Like messagesSettled, but false once the pool closes, because then the run must not end. A run that is full hands its
 * signals on instead, and does not wait for ever until its updates are answered.
 */
export async function settledWhileOpen(state: PoolState): Promise<boolean> {
  const isAnswered = () => state.closing || allHandlersFinished();
  await condition(() => state.closing || isFull(state) || (state.inbox.isEmpty() && allHandlersFinished()));
  if (!isAnswered()) {
    const mostEvents = workflowInfo().historyLength + MORE_EVENTS;
    const isOver = () => isAnswered() || workflowInfo().historyLength > mostEvents;
    await condition(isOver, LAST_ANSWERS, { summary: "the last answers to updates" });
  }
  while (!isAnswered()) {
    state.inbox.giveUpPosts();
    // More updates may come meanwhile.
    await condition(isAnswered, "1s", { summary: "updates are told that the database does not answer" });
  }
  return !state.closing;
}
