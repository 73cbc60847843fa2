import { hostname } from "node:os";
import { type DestinationStream, type Logger, pino } from "pino";
import type { Config } from "../config/config.ts";
import { createLogger } from "../logger.ts";
import { DatabaseError } from "../supabase/database-error.ts";
import type { LogLine, LogStore } from "../supabase/log-store.ts";

/** What an outage may pile up: some tens of MB, with the longest lines that are kept. */
const CAPACITY_LINES = 10_000;
const LONGEST_LINE = 32_000;
const CLOSE_WITHIN_MS = 8_000;
const LONGEST_PAUSE_MS = 60_000;

const SEVERITIES = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;
type Severity = (typeof SEVERITIES)[number];
const SEVERITY_OF: Readonly<Record<string, Severity>> = {
  trace: "DEBUG",
  debug: "DEBUG",
  info: "INFO",
  warn: "WARNING",
  error: "ERROR",
  fatal: "CRITICAL",
};

export interface DatabaseLogs {
  /** Takes pino's JSON lines and never waits for the database. */
  readonly stream: DestinationStream;
  /** Sends what is left, for at most eight seconds, and says how many lines were lost. */
  close(): Promise<void>;
}

export interface DatabaseLogsOptions {
  readonly store: Pick<LogStore, "insert">;
  /** Who logs: the name of this process. */
  readonly sourceId: string;
  readonly batchSize: number;
  readonly flushMs: number;
  /** Writes elsewhere than to `stream`: troubles of the database must not be logged into it. */
  readonly logger: Logger;
  readonly capacity?: number;
}

/** The log of the Temporal worker: stdout and, where it is enabled, the database beside it, each from its own level. */
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
 * Sends log lines to `system_logs` in batches: when one is full, and at least every `flushMs`. While the database is
 * away lines wait; what exceeds the capacity is dropped, the least severe first and of these the oldest, and the first
 * line that arrives afterwards says how many.
 */
export function createDatabaseLogs(options: DatabaseLogsOptions): DatabaseLogs {
  const { store, sourceId, batchSize, flushMs, logger, capacity = CAPACITY_LINES } = options;
  const waiting = createLogBuffer(capacity);
  let sending: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let failures = 0;
  let refused = 0;

  function schedule(delayMs: number): void {
    timer ??= setTimeout(() => {
      timer = null;
      void flush();
    }, delayMs).unref();
  }

  async function flush(): Promise<void> {
    sending ??= sendAll().finally(() => {
      sending = null;
      if (waiting.size() > 0) {
        schedule(Math.min(LONGEST_PAUSE_MS, flushMs * 2 ** Math.min(failures, 10)));
      }
    });
    await sending;
  }

  async function sendAll(): Promise<void> {
    while (waiting.size() > 0) {
      const dropped = waiting.takeDropped();
      const batch = waiting.take(batchSize);
      const notice = describeDropped(dropped);
      const lines = notice === null ? batch : [lineOf(sourceId, "WARNING", notice, { dropped }), ...batch];
      try {
        refused += await store.insert(lines);
      } catch (error) {
        if (isRefusal(error)) {
          // The same lines would be refused for ever, and every later one behind them.
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

  return {
    stream: {
      write(text) {
        waiting.add(readLine(sourceId, text));
        if (waiting.size() >= batchSize && failures === 0) {
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
      const lost = waiting.size() + refused + Object.values(waiting.takeDropped()).reduce((sum, n) => sum + n, 0);
      if (lost > 0) {
        logger.warn({ lost }, "log lines did not reach the database");
      }
    },
  };
}

type Dropped = Partial<Record<Severity, number>>;

function describeDropped(dropped: Dropped): string | null {
  const parts = SEVERITIES.flatMap((severity) => (dropped[severity] ? [`${dropped[severity]} ${severity}`] : []));
  return parts.length === 0 ? null : `log lines were dropped while the database was away: ${parts.join(", ")}`;
}

/** An answer that says no to these very lines; anything else may pass. */
function isRefusal(error: unknown): boolean {
  return error instanceof DatabaseError && error.status >= 400 && error.status < 500 && !TRANSIENT.has(error.status);
}
// 401, 403 and 404: keys and schema can be put right without a restart.
const TRANSIENT = new Set([401, 403, 404, 408, 409, 429]);

type Line = LogLine & { readonly level: Severity };

function lineOf(sourceId: string, level: Severity, message: string, metadata: LogLine["metadata"]): Line {
  const timestamp = new Date().toISOString();
  return { timestamp, level, message, source_type: "orchestrator_gpu", source_id: sourceId, metadata };
}

function readLine(sourceId: string, text: string): Line {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(text.slice(0, LONGEST_LINE), storable) as Record<string, unknown>;
  } catch {
    // Too long, or not written by pino: its beginning as it is.
    const level = SEVERITY_OF[/"level":"(\w+)"/.exec(text)?.[1] ?? ""] ?? "INFO";
    return lineOf(sourceId, level, String(storable("", text.trim().slice(0, 2_000))), {});
  }
  const { level, time, msg, name: _name, taskId, workerId, worker, ...fields } = entry;
  const ofWorker = workerId ?? worker;
  return {
    ...lineOf(sourceId, SEVERITY_OF[String(level)] ?? "INFO", typeof msg === "string" ? msg : "(no message)", fields),
    ...(typeof time === "string" && { timestamp: time }),
    ...(typeof taskId === "string" && { task_id: taskId }),
    ...(typeof ofWorker === "string" && { worker_id: ofWorker }),
  };
}

/** Postgres keeps neither NUL nor half a surrogate pair in JSON, and one of them would lose the whole batch. */
function storable(_key: string, value: unknown): unknown {
  return typeof value === "string" ? value.replace(/\0|[\ud800-\udfff]/gu, "\ufffd") : value;
}

interface LogBuffer {
  size(): number;
  add(line: Line): void;
  /** The oldest. */
  take(count: number): Line[];
  /** What was taken and not sent, and what had been counted as dropped before. */
  putBack(lines: readonly Line[], dropped: Dropped): void;
  takeDropped(): Dropped;
}

function createLogBuffer(capacity: number): LogBuffer {
  let lines: Line[] = [];
  let dropped: Dropped = {};

  function makeRoom(): void {
    while (lines.length > capacity) {
      const least = SEVERITIES.find((severity) => lines.some(({ level }) => level === severity)) ?? "DEBUG";
      // A tenth at once: finding the least severe costs a look at all.
      let surplus = Math.max(lines.length - capacity, Math.floor(capacity / 10));
      const before = lines.length;
      lines = lines.filter(({ level }) => level !== least || surplus-- <= 0);
      dropped[least] = (dropped[least] ?? 0) + before - lines.length;
    }
  }

  return {
    size: () => lines.length,
    add(line) {
      lines.push(line);
      makeRoom();
    },
    take: (count) => lines.splice(0, count),
    putBack(taken, counted) {
      lines = [...taken, ...lines];
      for (const [severity, count] of Object.entries(counted) as [Severity, number][]) {
        dropped[severity] = (dropped[severity] ?? 0) + count;
      }
      makeRoom();
    },
    takeDropped() {
      const counted = dropped;
      dropped = {};
      return counted;
    },
  };
}
