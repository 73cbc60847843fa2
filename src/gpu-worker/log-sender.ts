import type { SupabaseClient } from "@supabase/supabase-js";
import type { DestinationStream } from "pino";

/** What an outage may pile up. */
const CAPACITY_LINES = 2_000;
const BATCH_LINES = 100;
const LONGEST_LINE = 16_000;
const CLOSE_WITHIN_MS = 2_000;

const LEVELS: Readonly<Record<number, string>> = {
  10: "DEBUG",
  20: "DEBUG",
  30: "INFO",
  40: "WARNING",
  50: "ERROR",
  60: "CRITICAL",
};

interface Line {
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
  readonly task_id?: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface LogSender {
  /** Takes pino's JSON lines; they wait for the next `send`. */
  readonly stream: DestinationStream;
  /** Sends what waits. Never throws: what could not be sent waits for the next time. */
  send(): Promise<void>;
  /** Sends the rest, for at most two seconds. */
  close(): Promise<void>;
}

/**
 * Sends this worker's log to the database, in batches. While no answer comes, lines wait; beyond the capacity the
 * oldest of the least severe are dropped, and the next line that arrives says how many. A database that refuses the
 * worker, or knows no logs, is sent nothing more.
 */
export function createLogSender(
  client: Pick<SupabaseClient, "rpc">,
  workerId: string,
  capacity = CAPACITY_LINES,
): LogSender {
  let waiting: Line[] = [];
  let dropped = 0;
  let isRefused = false;
  let sending: Promise<void> | null = null;

  function makeRoom(): void {
    while (waiting.length > capacity) {
      const least = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"].find((name) =>
        waiting.some(({ level }) => level === name),
      );
      waiting.splice(
        waiting.findIndex(({ level }) => level === least),
        1,
      );
      dropped += 1;
    }
  }

  async function sendAll(): Promise<void> {
    while (waiting.length > 0) {
      const lost = dropped;
      dropped = 0;
      const batch = waiting.splice(0, BATCH_LINES);
      const lines = lost === 0 ? batch : [droppedLine(lost), ...batch];
      const request = client.rpc("worker_logs", { p_worker_id: workerId, p_logs: lines });
      const status = await request.then(
        (answer) => (answer.error ? answer.status : null),
        () => 0,
      );
      if (status === null) {
        continue;
      }
      if ([401, 403, 404].includes(status)) {
        isRefused = true;
        waiting = [];
      } else if (status === 0 || status >= 500 || status === 408 || status === 429) {
        waiting = [...batch, ...waiting];
        dropped += lost;
        makeRoom();
        return;
      } else {
        // The same lines would be refused again, and every later one behind them.
        dropped += lost + batch.length;
      }
    }
  }

  async function send(): Promise<void> {
    sending ??= sendAll().finally(() => (sending = null));
    await sending;
  }

  return {
    stream: {
      write(text) {
        if (isRefused) {
          return;
        }
        waiting.push(readLine(text));
        makeRoom();
      },
    },
    send,
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_WITHIN_MS)));
      await Promise.race([(async () => (await send(), await send()))(), late]);
      clearTimeout(timer);
    },
  };
}

function droppedLine(dropped: number): Line {
  const message = `log lines were dropped while the database was away: ${dropped}`;
  return { timestamp: new Date().toISOString(), level: "WARNING", message, metadata: { dropped } };
}

function readLine(text: string): Line {
  try {
    const entry = JSON.parse(text.slice(0, LONGEST_LINE), storable) as Record<string, unknown>;
    const { level, time, msg, worker_id: _worker, task_id: taskId, ...metadata } = entry;
    return {
      timestamp: new Date(typeof time === "number" ? time : Date.now()).toISOString(),
      level: LEVELS[Number(level)] ?? "INFO",
      message: typeof msg === "string" ? msg : "(no message)",
      ...(typeof taskId === "string" && { task_id: taskId }),
      metadata,
    };
  } catch {
    const level = LEVELS[Number(/"level":(\d+)/.exec(text)?.[1])] ?? "INFO";
    const message = String(storable("", text.trim().slice(0, 2_000)));
    return { timestamp: new Date().toISOString(), level, message, metadata: {} };
  }
}

/** Postgres keeps neither NUL nor half a surrogate pair in JSON, and one of them would lose the whole batch. */
function storable(_key: string, value: unknown): unknown {
  return typeof value === "string" ? value.replace(/\0|[\ud800-\udfff]/gu, "\ufffd") : value;
}
