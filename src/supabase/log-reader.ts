import { LOG_LEVELS, type LogLevel, type LogSource } from "../contract/log-levels.ts";
import type { Database } from "./client.ts";
import { readAll, readOne } from "./requests.ts";
import { type Row, TABLES } from "./tables.ts";

export interface LogFilter {
  readonly worker?: string;
  readonly task?: string;
  /** This one and the more severe ones. */
  readonly level?: LogLevel;
  readonly source?: LogSource;
  /** ISO 8601. */
  readonly since?: string;
}

export type LogRow = Omit<Row<"system_logs">, "metadata"> & { readonly metadata: Readonly<Record<string, unknown>> };

const COLUMNS = "id, timestamp, source_type, source_id, log_level, message, task_id, worker_id, cycle_number, metadata";
/** A batch may commit late, so lines with lower ids can appear. Ids are therefore read again for this long. */
const LATE_MS = 10_000;

export interface LogReader {
  /** The newest lines, the oldest of them first; all of them are older than what `next` answers. */
  latest(limit: number): Promise<LogRow[]>;
  /** Lines that have arrived since. */
  next(): Promise<LogRow[]>;
}

/** Reads system_logs. Every call throws DatabaseError. */
export function createLogReader(database: Database, filter: LogFilter): LogReader {
  let after = 0;
  const seen = new Map<number, number>();

  return {
    async latest(limit) {
      after = await newestId(database);
      const rows = await readAll<LogRow>(
        "system_logs",
        (count, last) =>
          matching(database, filter)
            .lt("id", last?.id ?? after + 1)
            .order("id", { ascending: false })
            .limit(count)
            .overrideTypes<LogRow[], { merge: false }>(),
        limit,
      );
      return rows.toReversed();
    },
    async next() {
      const rows = await readAll<LogRow>("system_logs", (count, last) =>
        matching(database, filter)
          .gt("id", last?.id ?? after)
          .order("id")
          .limit(count)
          .overrideTypes<LogRow[], { merge: false }>(),
      );
      const found = rows.filter(({ id }) => !seen.has(id));
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

async function newestId(database: Database): Promise<number> {
  const request = () => database[TABLES].from("system_logs").select("id").order("id", { ascending: false }).limit(1);
  const [newest] = await readOne("system_logs", request);
  return newest?.id ?? 0;
}

function matching(database: Database, { worker, task, since, level, source }: LogFilter) {
  let lines = database[TABLES].from("system_logs").select(COLUMNS);
  lines = worker === undefined ? lines : lines.eq("worker_id", worker);
  lines = task === undefined ? lines : lines.eq("task_id", task);
  lines = since === undefined ? lines : lines.gte("timestamp", since);
  lines = level === undefined ? lines : lines.in("log_level", LOG_LEVELS.slice(LOG_LEVELS.indexOf(level)));
  if (source === "orchestrator") {
    return lines.neq("source_type", "worker");
  }
  return source === undefined ? lines : lines.eq("source_type", source);
}
