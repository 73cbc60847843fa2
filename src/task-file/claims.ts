import { randomUUID } from "node:crypto";
import { closeAttempt, isoText } from "./attempts.ts";
import type { LocalDatabase } from "./local-database.ts";
import { type LocalTask, READY } from "./rows.ts";
import { settle } from "./settle.ts";
import { deathOf, isRegistered } from "./workers.ts";

export interface Claimant {
  readonly workerId: string;
  /** The names of the types that it can do; null: all. */
  readonly types: readonly string[] | null;
  /** Seconds without progress after which a task of this type, or alias of one, is stuck. */
  readonly stuckAfterSec: (type: string) => number;
}

const CLAIMABLE = `status = 'Queued' and (delayed_until_ms is null or delayed_until_ms <= ?1) and ${READY}`;

/**
 * Takes the next task, in the caller's transaction: the worker's own open one, else the head of the line. Tasks that are stuck, or
 * whose workers died, come back first.
 * @param resumes an orchestrator task without sub-tasks is handed back instead of resumed
 */
export function claimNext(
  database: LocalDatabase,
  claimant: Claimant,
  nowMs: number,
  resumes: boolean,
): { status: string; task: LocalTask | null } {
  const { workerId, types } = claimant;
  recover(database, claimant, nowMs);
  settle(database, nowMs);
  const held = database.get<LocalTask>(
    "select * from tasks where worker_id = ? and status = 'In Progress' and lease_token is not null",
    workerId,
  );
  if (held !== undefined && !(resumes && hasNothingBegun(database, held))) {
    return { status: "active", task: held };
  }
  if (held !== undefined) {
    const error = "its worker claimed again before it had created a sub-task";
    closeAttempt(database, held, { cause: "released", error, nowMs });
  }
  if (!isRegistered(database, workerId)) {
    return { status: "unknown", task: null };
  }
  const head = database.get<{ id: string }>(
    `select id from tasks t where ${CLAIMABLE} and (?2 is null or task_type in (select value from json_each(?2)))
     order by priority desc, vtime, rowid limit 1`,
    nowMs,
    types === null ? null : JSON.stringify(types),
  );
  return { status: "active", task: head === undefined ? null : lease(database, head.id, workerId, nowMs) };
}

function lease(database: LocalDatabase, id: string, workerId: string, nowMs: number): LocalTask {
  const now = isoText(nowMs);
  database.run(
    `update tasks set status = 'In Progress', worker_id = ?, attempts = attempts + 1, leases = leases + 1, lease_token = ?,
       leased_at_ms = ?, progress = null, progress_message = null, progress_at_ms = null, generation_started_at = ?,
       updated_at = ?, error_message = null, delayed_until_ms = null, delegated_at_ms = null where id = ?`,
    workerId,
    randomUUID(),
    nowMs,
    now,
    now,
    id,
  );
  return database.get<LocalTask>("select * from tasks where id = ?", id) as LocalTask;
}

function hasNothingBegun(database: LocalDatabase, { id, task_type: type }: LocalTask): boolean {
  return (
    type.includes("orchestrator") && database.get("select 1 from tasks where parent_id = ? limit 1", id) === undefined
  );
}

/** Ends the leases of other workers that are dead, or whose tasks are stuck. */
function recover(database: LocalDatabase, { workerId, stuckAfterSec }: Claimant, nowMs: number): void {
  const others = database.all<LocalTask>(
    "select * from tasks where status = 'In Progress' and lease_token is not null and worker_id <> ?",
    workerId,
  );
  for (const task of others) {
    const death = deathOf(database, task.worker_id ?? "", nowMs);
    const silentSec = Math.round((nowMs - (task.progress_at_ms ?? task.leased_at_ms ?? nowMs)) / 1_000);
    const limitSec = stuckAfterSec(task.task_type);
    if (death !== null) {
      closeAttempt(database, task, { cause: "worker_died", error: death, nowMs });
    } else if (silentSec >= limitSec) {
      const error = `no progress for ${silentSec} s (stuck after ${limitSec} s)`;
      closeAttempt(database, task, { cause: "stuck", error, nowMs });
    }
  }
}
