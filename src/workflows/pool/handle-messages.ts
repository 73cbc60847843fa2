import {
  ActivityFailure,
  ApplicationFailure,
  patched,
  setDefaultSignalHandler,
  setHandler,
} from "@temporalio/workflow";
import type { PoolActivities } from "../../contract/activities.ts";
import { FAILURES } from "../../contract/failures.ts";
import type { Intent } from "../../contract/intent.ts";
import type { SettingsView } from "../../contract/plan.ts";
import {
  type Message,
  type PoolExplanation,
  poolQueries,
  type PoolSettingsAnswer,
  poolSignals,
  type PoolStatus,
  poolUpdates,
  type SettingsPatch,
  type WorkerOrder,
  type WorkerOrderOutcome,
} from "../../contract/pool-api.ts";
import type { Parsed } from "../payloads.ts";
import type { Inbox } from "./inbox.ts";
import { parseBare, parsePatch, parseScale, parseWorkerOrder } from "./parse-messages.ts";
import { orderWorker } from "./workers.ts";

export interface MessageDeps {
  readonly pool: string;
  readonly inbox: Inbox;
  readonly activities: Pick<PoolActivities, "recordMessage" | "journalIgnored" | "reconfigure" | "orderWorker">;
  isClosing(): boolean;
  close(): void;
  reconfigured(settings: SettingsView): void;
  status(): PoolStatus;
  explain(): PoolExplanation;
  config(): PoolSettingsAnswer;
}

type Parse<T> = (payload: unknown) => Parsed<T>;

const SIGNALS: ReadonlyMap<string, Parse<Message>> = new Map<string, Parse<Message>>([
  [poolSignals.scale.name, parseScale],
  [poolSignals.drain.name, (payload) => parseBare("drain", payload)],
  [poolSignals.resume.name, (payload) => parseBare("resume", payload)],
  [poolSignals.pause.name, (payload) => parseBare("pause", payload)],
]);

/** All that operators can say to a pool and ask of it. A signal never throws; an update says what is wrong with it. */
export function handleMessages(deps: MessageDeps): void {
  setHandler(poolQueries.status, deps.status);
  setHandler(poolQueries.explain, deps.explain);
  setHandler(poolQueries.config, deps.config);

  // One handler for all: signals that came before the first task would otherwise be sorted by their names.
  setDefaultSignalHandler(async (name, payload) => await receiveSignal(deps, name, payload));

  const record = async (message: Message) => await recordMessage(deps, message);
  const order = async (given: WorkerOrder) => await giveOrder(deps, given);
  setHandler(poolUpdates.scale, ...whileOpen(deps, parseScale, record));
  setHandler(poolUpdates.drain, ...whileOpen(deps, (payload) => parseBare("drain", payload), record));
  setHandler(poolUpdates.resume, ...whileOpen(deps, (payload) => parseBare("resume", payload), record));
  setHandler(poolUpdates.pause, ...whileOpen(deps, (payload) => parseBare("pause", payload), record));
  setHandler(poolUpdates.reconfigure, ...whileOpen(deps, parsePatch, async (patch) => await reconfigure(deps, patch)));
  setHandler(poolUpdates.drainWorker, ...whileOpen(deps, (payload) => parseWorkerOrder("drain", payload), order));
  setHandler(
    poolUpdates.terminateWorker,
    ...whileOpen(deps, (payload) => parseWorkerOrder("terminate", payload), order),
  );
  // A second shutdown is answered like the first.
  setHandler(poolUpdates.shutdown, ...update((payload) => parseBare("shutdown", payload), shutdown));

  async function shutdown(message: Message): Promise<Intent> {
    deps.close();
    return await record(message);
  }
}

/** An update that a pool refuses while it shuts down. */
function whileOpen<T, Answer>(deps: MessageDeps, parse: Parse<T>, act: (value: T) => Promise<Answer>) {
  return update((payload) => {
    const parsed = parse(payload);
    const refused = refusal(deps);
    return parsed.ok && refused !== null ? { ok: false, error: refused } : parsed;
  }, act);
}

/** The handler of an update and its options. The validator refuses it before the history has it. */
function update<T, Answer>(parse: Parse<T>, act: (value: T) => Promise<Answer>) {
  const validator = (payload?: unknown): void => {
    const parsed = parse(payload);
    if (!parsed.ok || parsed.surplus !== undefined) {
      throw invalidMessage(parsed.ok ? (parsed.surplus ?? "") : parsed.error);
    }
  };
  // A replay runs no validator: an update with an unknown field that an older version took is still taken here.
  const handler = async (payload?: unknown): Promise<Answer> => {
    const parsed = parse(payload);
    if (!parsed.ok) {
      throw invalidMessage(parsed.error);
    }
    return await act(parsed.value);
  };
  return [handler, { validator }] as const;
}

function invalidMessage(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, FAILURES.invalidMessage);
}

function refusal(deps: MessageDeps): string | null {
  return deps.isClosing() ? "the pool is shutting down" : null;
}

async function receiveSignal(deps: MessageDeps, name: string, payload: unknown): Promise<void> {
  const { pool, inbox, activities } = deps;
  const parsed: Parsed<Message> = SIGNALS.get(name)?.(payload) ?? {
    ok: false,
    error: "unknown signal; a pool takes scale, drain, resume and pause",
  };
  const refused = parsed.ok ? (refusal(deps) ?? surplusNow(name, parsed.surplus)) : parsed.error;
  if (parsed.ok && refused === null) {
    await recordMessage(deps, parsed.value);
  } else {
    await inbox.post(() => activities.journalIgnored(pool, name, refused ?? ""));
  }
}

/** Older versions took such a signal, which a replay must do too. */
function surplusNow(kind: string, surplus: string | undefined): string | null {
  const change = kind === "scale" ? "unknown-fields-refused" : "fields-of-bare-messages-refused";
  return surplus !== undefined && patched(change) ? surplus : null;
}

async function recordMessage({ pool, inbox, activities }: MessageDeps, message: Message): Promise<Intent> {
  return await inbox.post(() => activities.recordMessage(pool, message));
}

async function reconfigure(deps: MessageDeps, patch: SettingsPatch): Promise<PoolSettingsAnswer> {
  const { pool, inbox, activities } = deps;
  try {
    deps.reconfigured(await inbox.post(() => activities.reconfigure(pool, patch)));
  } catch (error) {
    const reason = error instanceof ActivityFailure ? error.cause : error;
    const message = reason instanceof Error ? reason.message : String(reason);
    throw ApplicationFailure.nonRetryable(message, FAILURES.invalidConfig);
  }
  return deps.config();
}

async function giveOrder(deps: MessageDeps, order: WorkerOrder): Promise<WorkerOrderOutcome> {
  const { pool, inbox, activities } = deps;
  const { kind, worker, reason } = order;
  const answer = await inbox.post(() => activities.orderWorker(pool, order));
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
