import type { SupabaseClient } from "@supabase/supabase-js";
import type { DestinationStream } from "pino";
import { cut, storable, storableText } from "../../supabase/functions/_shared/text.ts";

/** Lines kept while the database does not answer. */
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

/** From the least severe. */
const SEVERITIES = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;

interface Line {
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
  readonly task_id?: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface LogSender {
  /** Takes pino's JSON lines and keeps them until the next `send`. */
  readonly stream: DestinationStream;
  /** Sends the lines that wait. Never throws: lines that could not be sent wait for the next call. */
  send(): Promise<void>;
  /** Sends the lines that wait, for at most two seconds. */
  close(): Promise<void>;
}

/**
 * Sends this worker's log to the database in batches. While the database does not answer, lines wait. Beyond the
 * capacity the oldest of the least severe lines are dropped, and the next batch begins with a line that says how
 * many. After 401, 403 or 404 (credential refused, or a database without this function) nothing more is sent.
 */
export function createLogSender(
  client: Pick<SupabaseClient, "rpc">,
  workerId: string,
  capacity = CAPACITY_LINES,
): LogSender {
  const backlog = createBacklog(capacity);
  let isRefused = false;
  let sending: Promise<void> | null = null;

  async function sendAll(): Promise<void> {
    for (let batch = backlog.take(); batch !== null; batch = backlog.take()) {
      const status = await request(batch);
      if (status === null) {
        continue;
      }
      if ([401, 403, 404].includes(status)) {
        isRefused = true;
        backlog.clear();
      } else if (status === 0 || status >= 500 || status === 408 || status === 429) {
        backlog.putBack(batch);
        return;
      } else {
        // Sent again, these lines would be refused again and block all later ones.
        backlog.drop(batch);
      }
    }
  }

  /** Null after a success, else the HTTP status; 0 when there was no answer. */
  async function request({ lines, droppedBefore }: Batch): Promise<number | null> {
    const sent = droppedBefore === 0 ? lines : [droppedLine(droppedBefore), ...lines];
    return await client.rpc("worker_logs", { p_worker_id: workerId, p_logs: sent }).then(
      (answer) => (answer.error ? answer.status : null),
      () => 0,
    );
  }

  async function send(): Promise<void> {
    sending ??= sendAll().finally(() => (sending = null));
    await sending;
  }

  return {
    stream: {
      write(text) {
        if (!isRefused) {
          backlog.add(readLine(text));
        }
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

interface Batch {
  readonly lines: readonly Line[];
  /** Lines that were dropped since the batch before and that no line sent so far has mentioned. */
  readonly droppedBefore: number;
}

function createBacklog(capacity: number) {
  let waiting: Line[] = [];
  let dropped = 0;

  function makeRoom(): void {
    while (waiting.length > capacity) {
      const least = SEVERITIES.find((name) => waiting.some(({ level }) => level === name));
      waiting.splice(
        waiting.findIndex(({ level }) => level === least),
        1,
      );
      dropped += 1;
    }
  }

  return {
    add(line: Line): void {
      waiting.push(line);
      makeRoom();
    },
    /** Removes the oldest lines; null when none wait. */
    take(): Batch | null {
      if (waiting.length === 0) {
        return null;
      }
      const batch = { lines: waiting.splice(0, BATCH_LINES), droppedBefore: dropped };
      dropped = 0;
      return batch;
    },
    putBack({ lines, droppedBefore }: Batch): void {
      waiting = [...lines, ...waiting];
      dropped += droppedBefore;
      makeRoom();
    },
    drop({ lines, droppedBefore }: Batch): void {
      dropped += droppedBefore + lines.length;
    },
    clear(): void {
      waiting = [];
    },
  };
}

function droppedLine(dropped: number): Line {
  const message = `log lines were dropped while the database was away: ${dropped}`;
  return { timestamp: new Date().toISOString(), level: "WARNING", message, metadata: { dropped } };
}

function readLine(text: string): Line {
  try {
    const entry = storable(JSON.parse(cut(text, LONGEST_LINE))) as Record<string, unknown>;
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
    const message = storableText(cut(text.trim(), 2_000));
    return { timestamp: new Date().toISOString(), level, message, metadata: {} };
  }
}
