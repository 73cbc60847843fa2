import type { LocalDatabase } from "./local-database.ts";
import { type Cause, findTask, type LocalTask } from "./rows.ts";
import { NEXT_PLACE } from "./schema.ts";

const ATTEMPT_LIMIT = 3;
const POISON_WORKERS = 2;
const FIRST_DELAY_MS = 5_000;
const LONGEST_DELAY_MS = 5 * 60_000;

export interface AttemptEnd {
  readonly cause: "task_error" | "worker_died" | "stuck" | "released";
  readonly error: string;
  readonly nowMs: number;
  /** No attempt can succeed. */
  readonly isPermanent?: boolean;
}

/** Writes down how the open attempt of a task ended. The caller takes the token out of the task's row. */
export function recordAttempt(
  database: LocalDatabase,
  task: LocalTask,
  cause: Cause,
  error: string | null,
  nowMs: number,
) {
  database.run(
    `insert into ended_attempts (task_id, attempt, worker_id, lease_token, started_at_ms, ended_at_ms, cause, error, progress)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    task.id,
    task.leases,
    task.worker_id,
    task.lease_token,
    task.leased_at_ms,
    nowMs,
    cause,
    error,
    task.progress,
  );
}

/**
 * Ends an attempt without a result. Only task errors, stuck tasks and deaths of workers count; a task that two different workers
 * died with is poison. The caller settles what depends on the task.
 */
export function closeAttempt(database: LocalDatabase, task: LocalTask, end: AttemptEnd): "requeued" | "failed" {
  const { cause, error, nowMs } = end;
  recordAttempt(database, task, cause, error, nowMs);
  const killed = countKilled(database, task.id);
  const counts = cause !== "released";
  if (end.isPermanent || (counts && task.attempts >= ATTEMPT_LIMIT) || killed >= POISON_WORKERS) {
    const isPoison = cause === "worker_died" && killed >= POISON_WORKERS;
    const reason = isPoison ? `poison: ${killed} different workers died with this task; last: ${error}` : error;
    database.run(
      `update tasks set lease_token = null, leased_at_ms = null, status = 'Failed', error_message = ?, updated_at = ?,
         generation_processed_at = ? where id = ?`,
      reason,
      isoText(nowMs),
      isoText(nowMs),
      task.id,
    );
    return "failed";
  }
  database.run(
    `update tasks set lease_token = null, leased_at_ms = null, status = 'Queued', worker_id = null,
       generation_started_at = null, error_message = ?, updated_at = ?, attempts = attempts - ? where id = ?`,
    error,
    isoText(nowMs),
    counts ? 0 : 1,
    task.id,
  );
  if (cause === "released") {
    handBack(database, task, nowMs);
  }
  return "requeued";
}

function countKilled(database: LocalDatabase, taskId: string): number {
  const killed = database.get<{ n: number }>(
    "select count(distinct worker_id) as n from ended_attempts where task_id = ? and cause = 'worker_died'",
    taskId,
  );
  return killed?.n ?? 0;
}

/**
 * Without progress, an orchestrator task lets the tasks that are queued now go first; from the second time in a row on, any task
 * does, and is delayed. Progress is a reported fraction, or a sub-task that was made or has ended since the hand-back before.
 */
function handBack(database: LocalDatabase, task: LocalTask, nowMs: number): void {
  const before = database.get<{ at: number | null }>(
    "select max(ended_at_ms) as at from ended_attempts where task_id = ? and cause = 'released' and attempt < ?",
    task.id,
    task.leases,
  );
  const moved = database.get(
    "select 1 from tasks where parent_id = ? and max(created_at, coalesce(generation_processed_at, '')) > ? limit 1",
    task.id,
    isoText(before?.at ?? 0),
  );
  if ((task.progress ?? 0) > 0 || moved !== undefined) {
    database.run("update tasks set hand_backs = 0, delayed_until_ms = null where id = ?", task.id);
    return;
  }
  const handBacks = task.hand_backs + 1;
  const delayMs = handBacks < 2 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (handBacks - 2), LONGEST_DELAY_MS);
  const delayedUntilMs = delayMs === 0 ? null : nowMs + delayMs;
  database.run(
    "update tasks set hand_backs = ?, delayed_until_ms = ? where id = ?",
    handBacks,
    delayedUntilMs,
    task.id,
  );
  if (handBacks > 1 || task.task_type.includes("orchestrator")) {
    moveBack(database, task.id);
  }
}

function moveBack(database: LocalDatabase, id: string): void {
  const { priority, project_id: project } = findTask(database, id) as LocalTask;
  database.run(
    `update tasks set vtime = (select ${NEXT_PLACE.replaceAll("$", "moved.")}
       from (select ? as id, ? as priority, ? as project_id) as moved) where id = ?`,
    id,
    priority,
    project,
    id,
  );
}

export function isoText(ms: number): string {
  return new Date(ms).toISOString();
}
