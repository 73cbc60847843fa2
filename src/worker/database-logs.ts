import { hostname } from "node:os";
import { type DestinationStream, type Logger, pino } from "pino";
import type { Config } from "../config/config.ts";
import { createLogger } from "../logger.ts";
import { DatabaseError } from "../supabase/database-error.ts";
import type { LogStore } from "../supabase/log-store.ts";
import { createLogBuffer, type Dropped, type LogBuffer } from "./log-buffer.ts";
import { lineOf, readLine, SEVERITIES } from "./log-lines.ts";

/** Lines kept while the database does not answer: some tens of MB if all are as long as allowed. */
const CAPACITY_LINES = 10_000;
const CLOSE_WITHIN_MS = 8_000;
const LONGEST_PAUSE_MS = 60_000;

export interface DatabaseLogs {
  /** Takes pino's JSON lines and never waits for the database. */
  readonly stream: DestinationStream;
  /** Sends the lines that wait, for at most eight seconds, and logs how many were lost. */
  close(): Promise<void>;
}

export interface DatabaseLogsOptions {
  readonly store: Pick<LogStore, "insert">;
  /** The name of this process in `system_logs`. */
  readonly sourceId: string;
  readonly batchSize: number;
  readonly flushMs: number;
  /** Must not write to `stream`: failures of the database would be logged into the database. */
  readonly logger: Logger;
  readonly capacity?: number;
}

/** The log of the Temporal worker: to stdout and, if enabled, to the database, each with its own level. */
export function openLogs(
  settings: Config["log"],
  store: Pick<LogStore, "insert">,
): { readonly logger: Logger; readonly closeLogs: () => Promise<void> } {
  const { level, databaseLevel, databaseBatchSize: batchSize, databaseFlushSec } = settings;
  const name = "gpu-pool";
  const logger = createLogger({ level, name });
  if (!settings.databaseEnabled) {
    return { logger, closeLogs: async () => undefined };
  }
  const sourceId = settings.instanceId ?? `${hostname()}:${process.pid}`;
  const logs = createDatabaseLogs({ store, sourceId, batchSize, flushMs: databaseFlushSec * 1000, logger });
  const destination = pino.multistream([
    { level, stream: process.stdout },
    { level: databaseLevel, stream: logs.stream },
  ]);
  const rank = (of: typeof level) => pino.levels.values[of] ?? Infinity;
  const lowest = rank(level) < rank(databaseLevel) ? level : databaseLevel;
  return { logger: createLogger({ level: lowest, name, destination }), closeLogs: logs.close };
}

/**
 * Sends log lines to `system_logs` in batches: when a batch is full, and at least every `flushMs`. While the database
 * does not answer, lines wait. Beyond the capacity the least severe lines are dropped, the oldest of these first, and
 * the next batch begins with a line that says how many.
 */
export function createDatabaseLogs(options: DatabaseLogsOptions): DatabaseLogs {
  const { sourceId, batchSize, flushMs, logger, capacity = CAPACITY_LINES } = options;
  const waiting = createLogBuffer(capacity);
  const sender = createSender(options, waiting);
  let sending: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;

  function schedule(delayMs: number): void {
    timer ??= setTimeout(() => {
      timer = null;
      void flush();
    }, delayMs).unref();
  }

  async function flush(): Promise<void> {
    sending ??= sender.send().finally(() => {
      sending = null;
      if (waiting.size() > 0) {
        schedule(Math.min(LONGEST_PAUSE_MS, flushMs * 2 ** Math.min(sender.failures(), 10)));
      }
    });
    await sending;
  }

  return {
    stream: {
      write(text) {
        waiting.add(readLine(sourceId, text));
        if (waiting.size() >= batchSize && sender.failures() === 0) {
          void flush();
        } else {
          schedule(flushMs);
        }
      },
    },
    async close() {
      let timeUp: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timeUp = setTimeout(resolve, CLOSE_WITHIN_MS)));
      await Promise.race([(async () => (await flush(), await flush()))(), late]);
      clearTimeout(timeUp);
      if (timer !== null) {
        clearTimeout(timer);
      }
      const dropped = Object.values(waiting.takeDropped()).reduce((sum, count) => sum + count, 0);
      const lost = waiting.size() + sender.refused() + dropped;
      if (lost > 0) {
        logger.warn({ lost }, "log lines did not reach the database");
      }
    },
  };
}

interface Sender {
  /** Sends all waiting lines, batch by batch, until one batch gets no answer. Never rejects. */
  send(): Promise<void>;
  /** Batches without an answer since the last answer. */
  failures(): number;
  /** Lines that the database has refused so far. */
  refused(): number;
}

function createSender({ store, sourceId, batchSize, logger }: DatabaseLogsOptions, waiting: LogBuffer): Sender {
  let failures = 0;
  let refused = 0;

  async function send(): Promise<void> {
    while (waiting.size() > 0) {
      const dropped = waiting.takeDropped();
      const batch = waiting.take(batchSize);
      const notice = describeDropped(dropped);
      const lines = notice === null ? batch : [lineOf(sourceId, "WARNING", notice, { dropped }), ...batch];
      try {
        refused += await store.insert(lines);
      } catch (error) {
        if (isRefusal(error)) {
          // Sent again, these lines would be refused again and block all later ones.
          refused += lines.length;
          logger.error({ err: error, lines: lines.length }, "log lines were refused by the database and are lost");
          continue;
        }
        waiting.putBack(batch, dropped);
        failures += 1;
        if (failures === 1) {
          logger.warn({ err: error, waiting: waiting.size() }, "log lines cannot be sent to the database; they wait");
        }
        return;
      }
      if (failures > 0) {
        failures = 0;
        logger.info({ waiting: waiting.size() }, "log lines reach the database again");
      }
    }
  }

  return { send, failures: () => failures, refused: () => refused };
}

function describeDropped(dropped: Dropped): string | null {
  const parts = SEVERITIES.flatMap((severity) => (dropped[severity] ? [`${dropped[severity]} ${severity}`] : []));
  return parts.length === 0 ? null : `log lines were dropped while the database was away: ${parts.join(", ")}`;
}

// Operators can correct keys (401, 403) and schema (404) without a restart, so these lines wait.
const TRANSIENT = new Set([401, 403, 404, 408, 409, 429]);

/** Whether the database refuses these very lines; other errors may pass. */
function isRefusal(error: unknown): boolean {
  return error instanceof DatabaseError && error.status >= 400 && error.status < 500 && !TRANSIENT.has(error.status);
}
