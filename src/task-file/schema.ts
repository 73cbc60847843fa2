/** As the older worker makes it; the other columns are added to either. */
export const FIRST_TABLE = `create table if not exists tasks (
  id text primary key,
  task_type text not null,
  params text not null,
  status text not null default 'Queued',
  dependant_on text,
  output_location text,
  created_at text,
  updated_at text,
  generation_started_at text,
  generation_processed_at text,
  project_id text not null default '00000000-0000-0000-0000-000000000000'
)`;

/** Times in ms are those of the machine; texts are ISO 8601 in UTC. */
export const ADDED_COLUMNS: readonly (readonly [name: string, type: string])[] = [
  ["dependant_on", "text"],
  ["output_location", "text"],
  ["created_at", "text"],
  ["updated_at", "text"],
  ["generation_started_at", "text"],
  ["generation_processed_at", "text"],
  ["project_id", "text not null default '00000000-0000-0000-0000-000000000000'"],
  ["priority", "integer not null default 0"],
  // Its place in the line of its priority.
  ["vtime", "integer"],
  ["parent_id", "text"],
  // Whether it waits for all other sub-tasks of its parent.
  ["after_siblings", "integer not null default 0"],
  ["worker_id", "text"],
  ["attempts", "integer not null default 0"],
  ["leases", "integer not null default 0"],
  ["lease_token", "text"],
  ["leased_at_ms", "integer"],
  ["progress", "real"],
  ["progress_message", "text"],
  ["progress_at_ms", "integer"],
  // Since when an orchestrator task waits for its sub-tasks.
  ["delegated_at_ms", "integer"],
  ["hand_backs", "integer not null default 0"],
  ["delayed_until_ms", "integer"],
  ["failed_by", "text"],
  ["error_message", "text"],
  ["result_data", "text"],
];

// No function here is newer than SQLite 3.38, because other programs insert tasks with the SQLite that they have.
const NOW_TEXT = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
const NOW_MICROS = "cast((julianday('now') - 2440587.5) * 86400000000 as integer)";

/** The place of a task that joins the line now: behind the head of the line or behind its project's last task. */
export const NEXT_PLACE = `max(
  coalesce((select min(vtime) from tasks where status = 'Queued' and priority = $priority and id <> $id), ${NOW_MICROS}),
  coalesce((select max(vtime) from tasks
    where status = 'Queued' and priority = $priority and project_id = $project_id and id <> $id), 0)) + 1`;

function nextPlaceOf(row: string): string {
  return NEXT_PLACE.replaceAll("$", `${row}.`);
}

export const OBJECTS: readonly string[] = [
  `create table if not exists ended_attempts (
    task_id text not null,
    attempt integer not null,
    worker_id text,
    lease_token text not null,
    started_at_ms integer,
    ended_at_ms integer not null,
    cause text not null,
    error text,
    progress real,
    primary key (task_id, attempt)
  )`,
  `create index if not exists ended_attempts_token on ended_attempts (lease_token)`,
  `create table if not exists workers (
    id text primary key,
    host text not null,
    pid integer not null,
    started text,
    started_at_ms integer not null,
    heartbeat_at_ms integer not null,
    vram_total_mb integer,
    vram_used_mb integer
  )`,
  `create table if not exists service_requests (
    task_id text not null,
    service text not null,
    attempt integer not null,
    request_id text,
    mark text,
    asked_at_ms integer not null,
    primary key (task_id, service)
  )`,
  `create index if not exists tasks_line on tasks (priority desc, vtime) where status = 'Queued'`,
  `create index if not exists tasks_waiting on tasks (dependant_on) where status = 'Queued' and dependant_on is not null`,
  `create index if not exists tasks_running on tasks (worker_id) where status = 'In Progress'`,
  `create index if not exists tasks_sub on tasks (parent_id) where status in ('Queued', 'In Progress') and parent_id is not null`,
  `create index if not exists tasks_parent on tasks (parent_id) where parent_id is not null`,
  `create index if not exists tasks_created on tasks (created_at)`,
  `create trigger if not exists tasks_admit after insert on tasks begin
    update tasks set
      created_at = coalesce(created_at, ${NOW_TEXT}),
      updated_at = coalesce(updated_at, ${NOW_TEXT}),
      parent_id = coalesce(parent_id, (select p.id from tasks p where p.project_id = new.project_id
        and p.id = case when json_valid(new.params) then json_extract(new.params, '$.orchestrator_task_id_ref') end)),
      vtime = coalesce(vtime, ${nextPlaceOf("new")})
    where id = new.id;
  end`,
  // Another program that ends a task, or queues it again, takes it from its worker.
  `create trigger if not exists tasks_taken after update of status on tasks
   when new.status <> 'In Progress' and new.lease_token is not null begin
    insert or ignore into ended_attempts (task_id, attempt, worker_id, lease_token, started_at_ms, ended_at_ms, cause, error)
    values (new.id, new.leases, new.worker_id, new.lease_token, new.leased_at_ms,
      cast((julianday('now') - 2440587.5) * 86400000 as integer), 'cancelled', 'the task was made ' || new.status);
    update tasks set lease_token = null, leased_at_ms = null, delegated_at_ms = null where id = new.id;
  end`,
  // What is left of its orchestrator task is settled by the next claim.
  `create trigger if not exists tasks_deleted after delete on tasks begin
    update tasks set status = 'Failed', updated_at = ${NOW_TEXT}, generation_processed_at = ${NOW_TEXT},
      error_message = 'depends on task ' || old.id || ', which was deleted'
    where status = 'Queued' and (dependant_on = old.id or after_siblings = 1 and parent_id = old.parent_id);
    update tasks set status = 'Cancelled', updated_at = ${NOW_TEXT}, generation_processed_at = ${NOW_TEXT},
      error_message = 'its orchestrator task ' || old.id || ' was deleted'
    where status in ('Queued', 'In Progress') and parent_id = old.id and old.status <> 'Complete';
    delete from ended_attempts where task_id = old.id;
    delete from service_requests where task_id = old.id;
  end`,
  `create trigger if not exists tasks_wait_for_others before insert on tasks when new.dependant_on = new.id begin
    select raise(abort, 'dependant_on: a task cannot wait for itself');
  end`,
];
