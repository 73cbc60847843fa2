import { LOG_LEVELS, type LogLevel, type LogSource } from "../contract/log-levels.ts";
import type { Database } from "./client.ts";
import { readAll, readOne } from "./requests.ts";
import { type Tail, tailOf } from "./history/tail.ts";
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

/** Reads system_logs. Every call throws DatabaseError. */
export function createLogReader(database: Database, filter: LogFilter): Tail<LogRow> {
  const name = "system_logs";
  return tailOf<LogRow>({
    async newestId() {
      const request = () => database[TABLES].from(name).select("id").order("id", { ascending: false }).limit(1);
      return (await readOne(name, request))[0]?.id ?? 0;
    },
    async below(id, limit) {
      return await readAll<LogRow>(
        name,
        (count, last) =>
          matching(database, filter)
            .lt("id", last?.id ?? id)
            .order("id", { ascending: false })
            .limit(count)
            .overrideTypes<LogRow[], { merge: false }>(),
        limit,
      );
    },
    async above(id) {
      return await readAll<LogRow>(name, (count, last) =>
        matching(database, filter)
          .gt("id", last?.id ?? id)
          .order("id")
          .limit(count)
          .overrideTypes<LogRow[], { merge: false }>(),
      );
    },
  });
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
