import { isoText } from "./attempts.ts";
import type { LocalDatabase } from "./local-database.ts";
import type { LocalTask } from "./rows.ts";
import { parsed } from "./rows.ts";

/**
 * Does what ended tasks require, until nothing is left: tasks that waited for one without a result fail, sub-tasks of an
 * orchestrator task that has ended badly are cancelled, and a parent ends with its last sub-task. Tasks that another program has
 * changed are settled in the same way.
 */
export function settle(database: LocalDatabase, nowMs: number): void {
  const now = isoText(nowMs);
  while (failWaiting(database, now) + cancelSubTasks(database, now) + endParents(database, now) > 0) {
    // Each round may give the next one something to do.
  }
}

function failWaiting(database: LocalDatabase, now: string): number {
  const ended = database.run(
    `update tasks set status = 'Failed', failed_by = dependant_on, updated_at = ?1, generation_processed_at = ?1,
       error_message = 'depends on task ' || dependant_on || ', which is '
         || (select p.status from tasks p where p.id = tasks.dependant_on)
     where status = 'Queued' and dependant_on is not null and exists (
       select 1 from tasks p where p.id = tasks.dependant_on and p.status in ('Failed', 'Cancelled'))`,
    now,
  );
  const last = database.run(
    `update tasks set (status, failed_by, error_message, updated_at, generation_processed_at) = (
       select 'Failed', s.id, 'depends on task ' || s.id || ', which is ' || s.status, ?1, ?1 from tasks s
       where s.parent_id = tasks.parent_id and s.id <> tasks.id and s.status in ('Failed', 'Cancelled')
       order by s.generation_processed_at, s.vtime limit 1)
     where status = 'Queued' and parent_id is not null and after_siblings = 1 and exists (
       select 1 from tasks s where s.parent_id = tasks.parent_id and s.id <> tasks.id and s.status in ('Failed', 'Cancelled'))`,
    now,
  );
  const own = database.run(
    `with recursive behind (id, parent) as (
       select t.id, p.id from tasks p join tasks t on t.dependant_on = p.id
       where p.status = 'In Progress' and p.delegated_at_ms is not null and t.status = 'Queued'
       union
       select t.id, b.parent from behind b join tasks t on t.dependant_on = b.id where t.status = 'Queued')
     update tasks set status = 'Failed', updated_at = ?1, generation_processed_at = ?1,
       error_message = 'depends on its own orchestrator task ' || parent_id || ', which waits for it'
     where (id, parent_id) in (select id, parent from behind) and status = 'Queued'`,
    now,
  );
  return ended + last + own;
}

function cancelSubTasks(database: LocalDatabase, now: string): number {
  return database.run(
    `update tasks set status = 'Cancelled', failed_by = parent_id, updated_at = ?1, generation_processed_at = ?1,
       error_message = 'its orchestrator task ' || parent_id || ' is '
         || (select p.status from tasks p where p.id = tasks.parent_id)
     where status in ('Queued', 'In Progress') and parent_id is not null and exists (
       select 1 from tasks p where p.id = tasks.parent_id and p.status in ('Failed', 'Cancelled'))`,
    now,
  );
}

function endParents(database: LocalDatabase, now: string): number {
  const parents = database.all<LocalTask>(
    `select * from tasks p where status = 'In Progress' and delegated_at_ms is not null and not exists (
       select 1 from tasks c where c.parent_id = p.id and c.status in ('Queued', 'In Progress'))`,
  );
  for (const parent of parents) {
    endParent(database, parent, now);
  }
  return parents.length;
}

/** The parent gets the result of the sub-task that it named, or else of the last one that no other sub-task waits for. */
function endParent(database: LocalDatabase, parent: LocalTask, now: string): void {
  const fail = (reason: string, failedBy: string | null) =>
    database.run(
      `update tasks set status = 'Failed', failed_by = ?, error_message = ?, delegated_at_ms = null, updated_at = ?,
         generation_processed_at = ? where id = ?`,
      failedBy,
      reason,
      now,
      now,
      parent.id,
    );
  const bad = database.get<LocalTask>(
    `select * from tasks where parent_id = ? and status in ('Failed', 'Cancelled')
     order by generation_processed_at, vtime limit 1`,
    parent.id,
  );
  if (bad !== undefined) {
    const { id, task_type: type, status, error_message: error } = bad;
    fail(`sub-task ${id} (${type}) is ${status}: ${error ?? "no error given"}`, id);
    return;
  }
  const own = parsed(parent.result_data) as { result_task_id?: string } | null;
  const child = database.get<LocalTask>(
    `select * from tasks c where parent_id = ?1 order by c.id = ?2 desc,
       exists (select 1 from tasks d where d.dependant_on = c.id and d.parent_id = ?1), created_at desc, vtime desc limit 1`,
    parent.id,
    own?.result_task_id ?? "",
  );
  if (child === undefined) {
    fail("all its sub-tasks were deleted, so it has no result", null);
    return;
  }
  const result = { ...(parsed(child.result_data) as object), ...own, result_task_id: child.id };
  database.run(
    `update tasks set status = 'Complete', output_location = ?, error_message = null, result_data = ?, delegated_at_ms = null,
       updated_at = ?, generation_processed_at = ? where id = ?`,
    child.output_location,
    JSON.stringify(result),
    now,
    now,
    parent.id,
  );
}
