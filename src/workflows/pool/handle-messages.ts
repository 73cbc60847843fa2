import { ActivityFailure, ApplicationFailure, currentUpdateInfo, setHandler, workflowInfo } from "@temporalio/workflow";
import type { MessageOrigin } from "../../contract/activities.ts";
import { FAILURES } from "../../contract/failures.ts";
import type { Intent } from "../../contract/intent.ts";
import {
  type Message,
  type PoolExplanation,
  poolQueries,
  type PoolSettingsAnswer,
  poolSignals,
  poolUpdates,
  senderOf,
  type SettingsPatch,
  type WorkerOrder,
  type WorkerOrderOutcome,
} from "../../contract/pool-api.ts";
import type { ReadSignal } from "../../contract/signal-batch.ts";
import { cut, storableText } from "../../../supabase/functions/_shared/text.ts";
import type { Parsed } from "../payloads.ts";
import { receiveSignals } from "../signals.ts";
import { poolActivities } from "./activities.ts";
import { parseBare, parsePatch, parseScale, parseWorkerOrder } from "./parse-messages.ts";
import { describeWish, taken } from "./recent.ts";
import { reasonOfRefusal } from "./refusals.ts";
import { CLOSING, noteIntent, noteMessages, type PoolState, statusOf } from "./state.ts";
import { orderWorker } from "./workers.ts";

type Parse<T> = (payload: unknown) => Parsed<T>;

const NAME_CHARS = 200;
/** Failures of a reconfigure that are no fault of its settings. */
const OWN_TYPES: ReadonlySet<string | null | undefined> = new Set([
  FAILURES.repeated,
  FAILURES.notWritten,
  FAILURES.invalidMessage,
]);

const SIGNALS: ReadonlyMap<string, Parse<Message>> = new Map<string, Parse<Message>>([
  [poolSignals.scale.name, parseScale],
  [poolSignals.drain.name, (payload) => parseBare("drain", payload)],
  [poolSignals.resume.name, (payload) => parseBare("resume", payload)],
  [poolSignals.pause.name, (payload) => parseBare("pause", payload)],
]);

/** Serves contract/pool-api.ts. A signal never throws; an update answers what is wrong with it. */
export function handleMessages(state: PoolState): void {
  setHandler(poolQueries.status, () => statusOf(state));
  setHandler(poolQueries.explain, () => explanationOf(state));
  setHandler(poolQueries.config, () => settingsOf(state));

  receiveSignals((name, payload) => state.inbox.add(readSignal(name, payload)));

  const record = async (message: Message) => await recordMessage(state, message);
  const order = async (given: WorkerOrder) => await giveOrder(state, given);
  setHandler(poolUpdates.scale, ...whileOpen(state, parseScale, record));
  setHandler(poolUpdates.drain, ...whileOpen(state, (payload) => parseBare("drain", payload), record));
  setHandler(poolUpdates.resume, ...whileOpen(state, (payload) => parseBare("resume", payload), record));
  setHandler(poolUpdates.pause, ...whileOpen(state, (payload) => parseBare("pause", payload), record));
  setHandler(
    poolUpdates.reconfigure,
    ...whileOpen(state, parsePatch, async (patch) => await reconfigure(state, patch)),
  );
  setHandler(poolUpdates.drainWorker, ...whileOpen(state, (payload) => parseWorkerOrder("drain", payload), order));
  setHandler(
    poolUpdates.terminateWorker,
    ...whileOpen(state, (payload) => parseWorkerOrder("terminate", payload), order),
  );
  // A second shutdown is answered like the first.
  const shutdown = update(
    (payload) => parseBare("shutdown", payload),
    async () => await shutDown(state),
  );
  setHandler(poolUpdates.shutdown, ...shutdown);
}

/** Begins a shutdown. @throws the refusal, with the pool open as before, where it is an order from before a reset. */
export async function shutDown(state: PoolState): Promise<Intent> {
  state.closing = true;
  try {
    const intent = await recordMessage(state, { kind: "shutdown" });
    state.row.closed = true;
    return intent;
  } catch (error) {
    state.closing = state.row.closed;
    throw error;
  }
}

function explanationOf({ pool, latest, decisions }: PoolState): PoolExplanation {
  return { pool, now: latest ?? decisions[0] ?? null, decisions };
}

function settingsOf({ pool, settings }: PoolState): PoolSettingsAnswer {
  return { pool, settings };
}

/** Registers an update that is refused during a shutdown. */
function whileOpen<T, Answer>(state: PoolState, parse: Parse<T>, act: (value: T) => Promise<Answer>) {
  return update((payload) => {
    const parsed = parse(payload);
    const refused = refusal(state);
    return parsed.ok && refused !== null ? { ok: false, error: refused } : parsed;
  }, act);
}

/** The handler of an update and its options. What the validator refuses is never in the history. */
function update<T, Answer>(parse: Parse<T>, act: (value: T) => Promise<Answer>) {
  const validator = (payload?: unknown): void => {
    const parsed = parse(payload);
    if (!parsed.ok || parsed.surplus !== undefined) {
      throw invalidMessage(parsed.ok ? (parsed.surplus ?? "") : parsed.error);
    }
  };
  // A replay runs no validator, so the handler accepts an unknown field, as an older version may have done.
  const handler = async (payload?: unknown): Promise<Answer> => {
    const parsed = parse(payload);
    if (!parsed.ok) {
      throw invalidMessage(parsed.error);
    }
    try {
      return await act(parsed.value);
    } catch (error) {
      throw reasonOfRefusal(error);
    }
  };
  return [handler, { validator }] as const;
}

function invalidMessage(message: string): ApplicationFailure {
  // A failure's message is no JSON: half a character in it could not be encoded.
  return ApplicationFailure.nonRetryable(storableText(message), FAILURES.invalidMessage);
}

function refusal(state: PoolState): string | null {
  // A shutdown that a reset gives again is refused when its turn comes; until then it must refuse nothing.
  return (isResetRun() ? state.row.closed : state.closing) ? CLOSING : null;
}

/** Posts what is refused once the row says closing. */
async function postWhileOpen<T>({ row, inbox }: PoolState, job: () => Promise<T>): Promise<T> {
  return await inbox.post(() => (row.closed ? Promise.reject(invalidMessage(CLOSING)) : job()));
}

function isResetRun(): boolean {
  const { runId, originalExecutionRunId } = workflowInfo();
  return runId !== originalExecutionRunId;
}

function readSignal(name: string, payload: unknown): ReadSignal {
  const parsed: Parsed<Message> = SIGNALS.get(name)?.(payload) ?? {
    ok: false,
    error: "unknown signal; a pool takes scale, drain, resume and pause",
  };
  const reason = parsed.ok ? parsed.surplus : parsed.error;
  return parsed.ok && reason === undefined
    ? { message: parsed.value }
    : { ignored: { kind: storableText(cut(name, NAME_CHARS)), reason: storableText(reason ?? "") } };
}

async function recordMessage(state: PoolState, message: Message): Promise<Intent> {
  const origin = originOfMessage();
  const write = () => poolActivities.recordMessage(state.pool, message, ...origin);
  const intent = await (message.kind === "shutdown" ? state.inbox.post(write) : postWhileOpen(state, write));
  noteIntent(state, intent);
  noteMessages(state, [taken(message.kind, describeWish(intent))]);
  return intent;
}

/** Must be called before the message waits, where the SDK still knows its update. */
function originOfMessage(): [] | [MessageOrigin] {
  return isResetRun() ? [{ update: currentUpdateInfo()?.id ?? null }] : [];
}

async function reconfigure(state: PoolState, patch: SettingsPatch): Promise<PoolSettingsAnswer> {
  const { pool } = state;
  const [origin = null] = originOfMessage();
  const by = senderOf(currentUpdateInfo()?.id);
  try {
    state.settings = await postWhileOpen(state, () => poolActivities.reconfigure(pool, patch, origin, by));
  } catch (error) {
    const reason = error instanceof ActivityFailure ? error.cause : error;
    if (reason instanceof ApplicationFailure && OWN_TYPES.has(reason.type)) {
      throw ApplicationFailure.nonRetryable(reason.message, reason.type);
    }
    const message = reason instanceof Error ? reason.message : String(reason);
    throw ApplicationFailure.nonRetryable(message, FAILURES.invalidConfig);
  }
  noteMessages(state, [taken("reconfigure", Object.keys(patch).join(", "))]);
  return settingsOf(state);
}

async function giveOrder(state: PoolState, order: WorkerOrder): Promise<WorkerOrderOutcome> {
  const { pool } = state;
  const { kind, worker, reason } = order;
  const origin = originOfMessage();
  const answer = await postWhileOpen(state, () => poolActivities.orderWorker(pool, order, ...origin));
  if (answer.outcome === "ordered") {
    await orderWorker(
      pool,
      worker,
      kind === "drain"
        ? { name: "drain", order: { reason, onlyIdle: false } }
        : { name: "terminate", order: { reason } },
    );
  }
  noteMessages(state, [taken(`${kind}Worker`, `${worker}: ${answer.outcome}`)]);
  return answer;
}
