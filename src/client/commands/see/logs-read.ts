import type { Database } from "../../../supabase/client.ts";
import { answerOf } from "../../connections.ts";

export const LOG_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_SOURCES = ["worker", "orchestrator", "orchestrator_gpu", "orchestrator_api"] as const;

export interface LogFilter {
  readonly worker?: string;
  readonly task?: string;
  /** This one and the more severe ones. */
  readonly level?: LogLevel;
  readonly source?: (typeof LOG_SOURCES)[number];
  /** ISO 8601. */
  readonly since?: string;
}

export interface LogRow {
  readonly id: number;
  readonly timestamp: string;
  readonly source_type: string;
  readonly source_id: string | null;
  readonly log_level: string;
  readonly message: string;
  readonly task_id: string | null;
  readonly worker_id: string | null;
  readonly cycle_number: number | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const COLUMNS = "id, timestamp, source_type, source_id, log_level, message, task_id, worker_id, cycle_number, metadata";
const PAGE_ROWS = 1_000;
/** A line that was written earlier may become visible later, when its batch commits: ids are looked at this long. */
const LATE_MS = 10_000;

export interface LogReader {
  /** The newest lines, the oldest of them first; all of them are older than what `next` answers. */
  latest(limit: number): Promise<LogRow[]>;
  /** What has arrived since. */
  next(): Promise<LogRow[]>;
}

/** Reads system_logs. Every call throws DatabaseError. */
export function createLogReader(database: Database, filter: LogFilter): LogReader {
  let after = 0;
  const seen = new Map<number, number>();

  function select(isNewestFirst: boolean, limit: number) {
    let request = database.client.from("system_logs").select(COLUMNS);
    if (filter.worker !== undefined) {
      request = request.eq("worker_id", filter.worker);
    }
    if (filter.task !== undefined) {
      request = request.eq("task_id", filter.task);
    }
    if (filter.since !== undefined) {
      request = request.gte("timestamp", filter.since);
    }
    if (filter.level !== undefined) {
      request = request.in("log_level", LOG_LEVELS.slice(LOG_LEVELS.indexOf(filter.level)));
    }
    if (filter.source === "orchestrator") {
      request = request.neq("source_type", "worker");
    } else if (filter.source !== undefined) {
      request = request.eq("source_type", filter.source);
    }
    return request.order("id", { ascending: !isNewestFirst }).limit(limit);
  }

  async function page(from: number): Promise<LogRow[]> {
    const { data } = await answerOf("system_logs", select(false, PAGE_ROWS).gt("id", from));
    return (data ?? []) as LogRow[];
  }

  return {
    async latest(limit) {
      const newest = database.client.from("system_logs").select("id").order("id", { ascending: false }).limit(1);
      const { data: top } = await answerOf("system_logs", newest);
      after = top?.[0]?.id ?? 0;
      const rows: LogRow[] = [];
      // The service answers no more than a thousand rows at once.
      while (rows.length < limit) {
        const wanted = Math.min(PAGE_ROWS, limit - rows.length);
        const before = rows.at(-1)?.id ?? after + 1;
        const { data } = await answerOf("system_logs", select(true, wanted).lt("id", before));
        rows.push(...((data ?? []) as LogRow[]));
        if ((data ?? []).length < wanted) {
          break;
        }
      }
      return rows.reverse();
    },
    async next() {
      const found: LogRow[] = [];
      for (let from = after; ;) {
        const rows = await page(from);
        found.push(...rows.filter(({ id }) => !seen.has(id)));
        from = rows.at(-1)?.id ?? from;
        if (rows.length < PAGE_ROWS) {
          break;
        }
      }
      const now = Date.now();
      for (const { id } of found) {
        seen.set(id, now);
      }
      for (const [id, seenAtMs] of seen) {
        if (now - seenAtMs > LATE_MS) {
          seen.delete(id);
          after = Math.max(after, id);
        }
      }
      return found;
    },
  };
}
