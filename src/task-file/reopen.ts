import { isoText } from "./attempts.ts";
import type { LocalDatabase } from "./local-database.ts";
import { findTask, type LocalTask } from "./rows.ts";
import { settle } from "./settle.ts";

const MAX_ERROR_CHARS = 4_000;

/** What became of a retry, as the database's `retry_task` answers it. */
export interface Reopening {
  readonly outcome: "reopened" | "unknown" | "not_failed" | "caused" | "parent_ended";
  readonly status: string | null;
  /** The task that stands in the way. */
  readonly because: string | null;
  /** How many tasks came back. */
  readonly reopened: number;
}

/** Ends a task without a result, and what depends on it. @returns whether it had not ended before */
export function cancelTask(database: LocalDatabase, id: string, nowMs: number): boolean {
  return database.write(() => {
    const changed = database.run(
      `update tasks set status = 'Cancelled', delegated_at_ms = null, updated_at = ?, generation_processed_at = ?
       where id = ? and status in ('Queued', 'In Progress')`,
      isoText(nowMs),
      isoText(nowMs),
      id,
    );
    settle(database, nowMs);
    return changed > 0;
  });
}

/** Puts a failed task back with all that its failing failed. None of its attempts counts any more. */
export function reopenTask(database: LocalDatabase, id: string, reason: string, nowMs: number): Reopening {
  return database.write(() => {
    const task = findTask(database, id);
    const refused = task === undefined ? UNKNOWN : refusal(database, task);
    if (task === undefined || refused !== null) {
      return refused ?? UNKNOWN;
    }
    const together = failedTogether(database, id);
    const error = `${reason}; its error was: ${task.error_message ?? "no error given"}`.slice(0, MAX_ERROR_CHARS);
    for (const each of together) {
      putBack(database, each, each.id === id ? error : null, nowMs);
    }
    database.run("update tasks set attempts = 0 where id = ?", id);
    settle(database, nowMs);
    const { status } = findTask(database, id) as LocalTask;
    return { outcome: "reopened", status, because: null, reopened: together.length };
  });
}

const UNKNOWN: Reopening = { outcome: "unknown", status: null, because: null, reopened: 0 };

/** Null: it can come back. */
function refusal(database: LocalDatabase, task: LocalTask): Reopening | null {
  const { status, failed_by: failedBy, parent_id: parentId } = task;
  const refused = (outcome: Reopening["outcome"], because: string | null) => ({
    outcome,
    status,
    because,
    reopened: 0,
  });
  if (status !== "Failed") {
    return refused("not_failed", null);
  }
  if (hasEndedBadly(database, failedBy)) {
    return refused("caused", failedBy);
  }
  const parent = parentId === null ? undefined : failedTogether(database, task.id).find(({ id }) => id === parentId);
  return parent === undefined && hasEndedBadly(database, parentId) ? refused("parent_ended", parentId) : null;
}

function hasEndedBadly(database: LocalDatabase, id: string | null): boolean {
  return ["Failed", "Cancelled"].includes(findTask(database, id ?? "")?.status ?? "");
}

/** The task, and all that its end has failed or cancelled, directly or not. */
function failedTogether(database: LocalDatabase, id: string): LocalTask[] {
  return database.all<LocalTask>(
    `with recursive together (id) as (
       select ? union
       select t.id from together join tasks t on t.failed_by = together.id where t.status in ('Failed', 'Cancelled'))
     select t.* from together join tasks t using (id)`,
    id,
  );
}

/** A parent that a sub-task has failed waits for its sub-tasks again; any other task is queued. */
function putBack(database: LocalDatabase, task: LocalTask, error: string | null, nowMs: number): void {
  const waits = task.failed_by !== null && findTask(database, task.failed_by)?.parent_id === task.id;
  database.run(
    `update tasks set status = ?, delegated_at_ms = ?, failed_by = null, error_message = ?, worker_id = null, hand_backs = 0,
       delayed_until_ms = null, generation_started_at = null, generation_processed_at = null, updated_at = ?,
       -- A claim counted the attempt that was cancelled with its orchestrator task.
       attempts = max(0, attempts - (status = 'Cancelled' and 'cancelled' is (
         select cause from ended_attempts where task_id = tasks.id order by attempt desc limit 1)))
     where id = ?`,
    waits ? "In Progress" : "Queued",
    waits ? nowMs : null,
    error,
    isoText(nowMs),
    task.id,
  );
}
