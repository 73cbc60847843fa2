import type { LocalDatabase } from "./local-database.ts";
import { LocalDatabaseError } from "./local-database.ts";
import { ADDED_COLUMNS, FIRST_TABLE, OBJECTS } from "./schema.ts";

const VERSION = 1;

/**
 * Makes the tables, or adds what those of an older worker lack. Rows are kept: what that worker had begun is queued
 * again, and an orchestrator task whose sub-tasks are there waits for them.
 */
export function adoptTables(database: LocalDatabase): void {
  const { user_version: version } = database.get<{ user_version: number }>("pragma user_version") ?? {
    user_version: 0,
  };
  if (version > VERSION) {
    const detail = `it was made by a newer gpu-pool (its version is ${version}, this one knows ${VERSION}); update gpu-pool`;
    throw new LocalDatabaseError(database.file, detail, false);
  }
  if (version === VERSION) {
    return;
  }
  database.run(FIRST_TABLE);
  const present = new Set(database.all<{ name: string }>("pragma table_info(tasks)").map(({ name }) => name));
  if (!present.has("id")) {
    throw new LocalDatabaseError(database.file, "its table tasks has no column id: it is no task queue", false);
  }
  for (const [name, type] of ADDED_COLUMNS.filter(([column]) => !present.has(column))) {
    database.run(`alter table tasks add column ${name} ${type}`);
  }
  for (const statement of [...OBJECTS, ...CONVERSIONS]) {
    database.run(statement);
  }
  database.run(`pragma user_version = ${VERSION}`);
}

/** The trigger that admits inserted tasks did not see those that were there before it. */
const CONVERSIONS = [
  `update tasks set status = case lower(replace(status, '_', ' '))
     when 'pending' then 'Queued' when 'queued' then 'Queued' when 'in progress' then 'In Progress'
     when 'processing' then 'In Progress' when 'complete' then 'Complete' when 'completed' then 'Complete'
     when 'failed' then 'Failed' when 'cancelled' then 'Cancelled' else status end`,
  `update tasks set vtime = rowid where vtime is null`,
  `update tasks set parent_id = (select p.id from tasks p where p.project_id = tasks.project_id
     and p.id = case when json_valid(tasks.params) then json_extract(tasks.params, '$.orchestrator_task_id_ref') end)
   where parent_id is null`,
  `update tasks set error_message = output_location where status = 'Failed' and error_message is null`,
  `update tasks set delegated_at_ms = cast(unixepoch('subsec') * 1000 as integer)
   where status = 'In Progress' and lease_token is null
     and exists (select 1 from tasks c where c.parent_id = tasks.id)`,
  `update tasks set status = 'Queued', generation_started_at = null
   where status = 'In Progress' and lease_token is null and delegated_at_ms is null`,
] as const;
