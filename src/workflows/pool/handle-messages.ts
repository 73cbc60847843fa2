import {
  ActivityFailure,
  ApplicationFailure,
  defineQuery,
  defineUpdate,
  patched,
  setDefaultSignalHandler,
  setHandler,
} from "@temporalio/workflow";
import type { PoolActivities } from "../../contract/activities.ts";
import type {
  Message,
  PoolConfig,
  PoolExplanation,
  PoolStatus,
  WorkerOrder,
  WorkerOrderOutcome,
} from "../../contract/messages.ts";
import type { Intent } from "../../contract/intent.ts";
import type { SettingsView } from "../../contract/plan.ts";
import type { Inbox } from "./inbox.ts";
import { parseBare, parsePatch, parseScale, parseWorkerOrder } from "./parse-messages.ts";
import type { Parsed } from "../payloads.ts";
import { orderWorker } from "./workers.ts";

export interface MessageDeps {
  readonly pool: string;
  readonly inbox: Inbox;
  readonly store: Pick<PoolActivities, "recordMessage" | "journalIgnored" | "reconfigure" | "orderWorker">;
  isClosing(): boolean;
  close(): void;
  reconfigured(settings: SettingsView): void;
  status(): PoolStatus;
  explain(): PoolExplanation;
  config(): PoolConfig;
}

/** Messages that are said by their name alone. */
const BARE_KINDS = ["drain", "resume", "pause"] as const;

/** All that operators can say to a pool and ask of it. A signal never throws; an update says what is wrong with it. */
export function handleMessages(deps: MessageDeps): void {
  const { pool, inbox, store } = deps;

  setHandler(defineQuery<PoolStatus>("status"), deps.status);
  setHandler(defineQuery<PoolExplanation>("explain"), deps.explain);
  setHandler(defineQuery<PoolConfig>("config"), deps.config);

  // One handler for all: signals that came before the first task would otherwise be sorted by their names.
  setDefaultSignalHandler(async (name, payload) => await receive(name, parseSignal(name, payload)));

  onUpdate("scale", parseScale, record);
  for (const kind of BARE_KINDS) {
    onUpdate(kind, (payload) => parseBare(kind, payload), record);
  }
  onUpdate("reconfigure", parsePatch, reconfigure);
  onUpdate("drainWorker", (payload) => parseWorkerOrder("drain", payload), giveOrder);
  onUpdate("terminateWorker", (payload) => parseWorkerOrder("terminate", payload), giveOrder);
  onUpdate("shutdown", (payload) => parseBare("shutdown", payload), shutdown);

  function onUpdate<T, R>(name: string, parse: (payload: unknown) => Parsed<T>, act: (value: T) => Promise<R>): void {
    const read = (payload: unknown): T => {
      const parsed = parse(payload);
      // Who asks for a shutdown twice has it.
      const refused = parsed.ok ? (name === "shutdown" ? null : refusal()) : parsed.error;
      if (!parsed.ok || refused !== null) {
        throw ApplicationFailure.nonRetryable(refused ?? "", "InvalidMessage");
      }
      return parsed.value;
    };
    const validate = (payload: unknown): void => {
      read(payload);
      const parsed = parse(payload);
      if (parsed.ok && parsed.surplus !== undefined) {
        throw ApplicationFailure.nonRetryable(parsed.surplus, "InvalidMessage");
      }
    };
    // A replay runs no validator: an update with an unknown field, which older versions took, is still taken there.
    setHandler(defineUpdate<R, [unknown]>(name), async (payload) => await act(read(payload)), { validator: validate });
  }

  function refusal(): string | null {
    return deps.isClosing() ? "the pool is shutting down" : null;
  }

  async function receive(kind: string, parsed: Parsed<Message>): Promise<void> {
    const refused = parsed.ok ? (refusal() ?? surplusNow(kind, parsed.surplus)) : parsed.error;
    if (parsed.ok && refused === null) {
      await record(parsed.value);
    } else {
      await inbox.post(() => store.journalIgnored(pool, kind, refused ?? ""));
    }
  }

  /** Older versions took such a signal, which a replay must do too. */
  function surplusNow(kind: string, surplus: string | undefined): string | null {
    const change = kind === "scale" ? "unknown-fields-refused" : "fields-of-bare-messages-refused";
    return surplus !== undefined && patched(change) ? surplus : null;
  }

  async function record(message: Message): Promise<Intent> {
    return await inbox.post(() => store.recordMessage(pool, message));
  }

  async function shutdown(message: Message): Promise<Intent> {
    deps.close();
    return await record(message);
  }

  async function reconfigure(patch: Readonly<Record<string, unknown>>): Promise<PoolConfig> {
    try {
      deps.reconfigured(await inbox.post(() => store.reconfigure(pool, patch)));
    } catch (error) {
      const reason = error instanceof ActivityFailure ? error.cause : error;
      throw ApplicationFailure.nonRetryable(reason instanceof Error ? reason.message : String(reason), "InvalidConfig");
    }
    return deps.config();
  }

  async function giveOrder(given: WorkerOrder): Promise<WorkerOrderOutcome> {
    const { kind, worker, reason } = given;
    const answer = await inbox.post(() => store.orderWorker(pool, given));
    if (answer.outcome === "ordered") {
      const order = { reason, onlyIdle: false };
      await orderWorker(pool, worker, kind === "drain" ? { name: kind, order } : { name: kind, order: { reason } });
    }
    return answer;
  }
}

function parseSignal(name: string, payload: unknown): Parsed<Message> {
  if (name === "scale") {
    return parseScale(payload);
  }
  const kind = BARE_KINDS.find((known) => known === name);
  return kind === undefined
    ? { ok: false, error: "unknown signal; a pool takes scale, drain, resume and pause" }
    : parseBare(kind, payload);
}
