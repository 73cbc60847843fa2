import type { LocalDatabase } from "./local-database.ts";
import { type LocalAttempt, type LocalTask, READY } from "./rows.ts";

export interface LocalFilter {
  readonly status?: readonly string[];
  readonly type?: string;
  readonly projectId?: string;
  /** ISO 8601: created since. */
  readonly since?: string;
  readonly limit: number;
}

/** With what a queued task waits for. */
export type LocalTaskRow = LocalTask & { readonly gate: "open" | "blocked" | "delayed" };

const COLUMNS = `t.*, case
  when not (${READY}) then 'blocked'
  when delayed_until_ms > cast(unixepoch('subsec') * 1000 as integer) then 'delayed' else 'open' end as gate`;

/** The newest first. */
export function listTasks(database: LocalDatabase, filter: LocalFilter): LocalTaskRow[] {
  const { status, type, projectId, since, limit } = filter;
  return database.all<LocalTaskRow>(
    `select ${COLUMNS} from tasks t
     where (?1 is null or status in (select value from json_each(?1))) and (?2 is null or task_type = ?2)
       and (?3 is null or project_id = ?3) and (?4 is null or created_at >= ?4)
     order by created_at desc, rowid desc limit ?5`,
    status === undefined ? null : JSON.stringify(status),
    type ?? null,
    projectId ?? null,
    since ?? null,
    limit,
  );
}

/** Tasks whose id begins so, at most `limit`. */
export function tasksWithPrefix(database: LocalDatabase, prefix: string, limit: number): LocalTaskRow[] {
  return database.all<LocalTaskRow>(
    `select ${COLUMNS} from tasks t where substr(id, 1, ?) = ? order by id limit ?`,
    prefix.length,
    prefix,
    limit,
  );
}

/** In any order; an id without a task is left out. */
export function tasksWithIds(database: LocalDatabase, ids: readonly string[]): LocalTaskRow[] {
  return database.all<LocalTaskRow>(
    `select ${COLUMNS} from tasks t where id in (select value from json_each(?))`,
    JSON.stringify(ids),
  );
}

/** Those that have ended, the oldest first. */
export function endedAttempts(database: LocalDatabase, taskId: string): LocalAttempt[] {
  return database.all<LocalAttempt>("select * from ended_attempts where task_id = ? order by attempt", taskId);
}
