import { ActivityFailure, ApplicationFailure, setDefaultSignalHandler, setHandler } from "@temporalio/workflow";
import { FAILURES } from "../../contract/failures.ts";
import type { Intent } from "../../contract/intent.ts";
import {
  type Message,
  type PoolExplanation,
  poolQueries,
  type PoolSettingsAnswer,
  poolSignals,
  poolUpdates,
  type SettingsPatch,
  type WorkerOrder,
  type WorkerOrderOutcome,
} from "../../contract/pool-api.ts";
import { storableText } from "../../../supabase/functions/_shared/text.ts";
import type { Parsed } from "../payloads.ts";
import { poolActivities } from "./activities.ts";
import { parseBare, parsePatch, parseScale, parseWorkerOrder } from "./parse-messages.ts";
import { reasonOfRefusal, writeDown } from "./refusals.ts";
import { type PoolState, statusOf } from "./state.ts";
import { orderWorker } from "./workers.ts";

type Parse<T> = (payload: unknown) => Parsed<T>;

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

  // One handler for all names keeps the order of signals that came before the workflow's first task.
  setDefaultSignalHandler(async (name, payload) => await receiveSignal(state, name, payload));

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
  setHandler(poolUpdates.shutdown, ...update((payload) => parseBare("shutdown", payload), shutdown));

  async function shutdown(message: Message): Promise<Intent> {
    state.closing = true;
    return await record(message);
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
  return state.closing ? "the pool is shutting down" : null;
}

async function receiveSignal(state: PoolState, name: string, payload: unknown): Promise<void> {
  const { pool } = state;
  const parsed: Parsed<Message> = SIGNALS.get(name)?.(payload) ?? {
    ok: false,
    error: "unknown signal; a pool takes scale, drain, resume and pause",
  };
  const refused = parsed.ok ? (refusal(state) ?? parsed.surplus ?? null) : parsed.error;
  const kind = SIGNALS.has(name) ? name : "unknown signal";
  await writeDown(state, kind, () =>
    parsed.ok && refused === null
      ? poolActivities.recordMessage(pool, parsed.value)
      : poolActivities.journalIgnored(pool, name, refused ?? ""),
  );
}

async function recordMessage({ pool, inbox }: PoolState, message: Message): Promise<Intent> {
  return await inbox.post(() => poolActivities.recordMessage(pool, message));
}

async function reconfigure(state: PoolState, patch: SettingsPatch): Promise<PoolSettingsAnswer> {
  const { pool, inbox } = state;
  try {
    state.settings = await inbox.post(() => poolActivities.reconfigure(pool, patch));
  } catch (error) {
    const reason = error instanceof ActivityFailure ? error.cause : error;
    const message = reason instanceof Error ? reason.message : String(reason);
    throw ApplicationFailure.nonRetryable(message, FAILURES.invalidConfig);
  }
  return settingsOf(state);
}

async function giveOrder(state: PoolState, order: WorkerOrder): Promise<WorkerOrderOutcome> {
  const { pool, inbox } = state;
  const { kind, worker, reason } = order;
  const answer = await inbox.post(() => poolActivities.orderWorker(pool, order));
  if (answer.outcome === "ordered") {
    await orderWorker(
      pool,
      worker,
      kind === "drain"
        ? { name: "drain", order: { reason, onlyIdle: false } }
        : { name: "terminate", order: { reason } },
    );
  }
  return answer;
}
