-- Logs of workers and of the Temporal worker process. The janitor deletes them after two days.

create table if not exists system_logs (
  id bigint generated always as identity primary key,
  timestamp timestamptz not null default now(),
  source_type text not null check (source_type in ('orchestrator_gpu', 'orchestrator_api', 'worker')),
  source_id text,
  log_level text not null check (log_level in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
  message text not null,
  task_id uuid,
  worker_id text,
  cycle_number integer,
  metadata jsonb not null default '{}'
);
comment on table system_logs is 'One row per log line. No foreign keys, because a line about a deleted task must stay.';
comment on column system_logs.timestamp is
  'By the clock of the sender, but never later than the arrival. The order of arrival is id.';
select secure_table('system_logs');
-- Retention, and `gpu-pool logs --since`.
create index if not exists system_logs_timestamp on system_logs (timestamp);
-- Logs of one worker and of one task, newest first.
create index if not exists system_logs_worker on system_logs (worker_id, id desc) where worker_id is not null;
create index if not exists system_logs_task on system_logs (task_id, id desc) where task_id is not null;
-- Recent errors of any source.
create index if not exists system_logs_errors on system_logs (timestamp desc) where log_level in ('ERROR', 'CRITICAL');

-- store_logs looks at its lines itself.
create or replace trigger system_logs_metadata_fit before insert or update of metadata on system_logs for each row
when (current_user = 'service_role' and new.metadata <> '{}') execute function refuse_unfit_json('metadata', '1');

create table if not exists worker_diagnostics (
  id bigint generated always as identity primary key,
  worker_id text not null,
  collected_at timestamptz not null default now(),
  reason text not null,
  details jsonb not null default '{}'
);
comment on table worker_diagnostics is
  'What was known of a worker when its status became error, before its pod was deleted. The retention of logs does not apply.';
comment on column worker_diagnostics.details is
  'worker: its row at that time, ages in seconds; task: its open lease, or null; logs: its last 20 lines, oldest first;
   pod_log: the last lines that the provider showed of its pod before it was deleted, or why there are none.';
select secure_table('worker_diagnostics');
-- Diagnostics of one worker, newest first.
create index if not exists worker_diagnostics_worker on worker_diagnostics (worker_id, id desc);

-- The time of a log line. A time that is unreadable, ahead, or from before there were pods becomes the time of arrival.
create or replace function log_time(p_text text) returns timestamptz
language plpgsql stable set search_path = public, pg_temp as $$
declare
  said timestamptz;
begin
  said := p_text;
  return case when said between '2020-01-01' and now() then said else now() end;
exception when others then
  return now();
end $$;
select grant_to_service('log_time(text)');

-- A log line whose texts are as short as they look. Of a line that is too large, or has a number of many digits, only the texts
-- are kept, and why in its metadata.
create or replace function fit_line(p_line jsonb) returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  problem text[] := json_problem(p_line);
begin
  if problem is null or jsonb_typeof(p_line) <> 'object' then
    return case when problem is null then p_line end;
  end if;
  return (
    select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(p_line)
    where jsonb_typeof(value) = 'string' and key in ('timestamp', 'level', 'log_level', 'message', 'source_type', 'source_id',
      'task_id', 'worker_id')) || jsonb_build_object('metadata', jsonb_build_object('left_out', problem[1]));
end $$;
select grant_to_service('fit_line(jsonb)');

-- Writes log lines: {timestamp?, level | log_level, message, source_type?, source_id?, task_id?, worker_id?,
-- cycle_number?, metadata?}. p_source_type, p_source_id and p_worker_id override the fields of the lines. A line
-- without message, level or source counts as an error, and the other lines are still written. An unreadable detail is
-- omitted.
create or replace function store_logs(
  p_logs jsonb, p_source_type text default null, p_source_id text default null, p_worker_id text default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  given integer;
  written integer;
begin
  if jsonb_typeof(p_logs) is distinct from 'array' then
    raise exception 'logs must be an array of log lines, got %', coalesce(jsonb_typeof(p_logs), 'nothing')
      using errcode = 'PT400', hint = 'Send [{"level": "INFO", "message": "…", "source_type": "worker"}].';
  end if;
  given := jsonb_array_length(p_logs);
  if given > 1000 then
    raise exception 'too many log lines in one call: %', given using errcode = 'PT400', hint = 'Send at most 1000.';
  end if;
  insert into system_logs
    (timestamp, source_type, source_id, log_level, message, task_id, worker_id, cycle_number, metadata)
  select log_time(line ->> 'timestamp'), source, left(coalesce(p_source_id, line ->> 'source_id'), 200), level,
    left(line ->> 'message', 8000),
    case when line ->> 'task_id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then (line ->> 'task_id')::uuid end,
    left(coalesce(p_worker_id, line ->> 'worker_id'), 200),
    case when line ->> 'cycle_number' ~ '^\d{1,9}$' then (line ->> 'cycle_number')::integer end,
    case
      when jsonb_typeof(line -> 'metadata') is distinct from 'object' then '{}'
      when length(line ->> 'metadata') > 16000 then jsonb_build_object('left_out', 'longer than 16000 characters')
      else line -> 'metadata' end
  from jsonb_array_elements(p_logs) with ordinality as item (raw, place), fit_line(raw) as f (line),
    lateral (select upper(coalesce(line ->> 'level', line ->> 'log_level')) as said,
      coalesce(p_source_type, line ->> 'source_type') as source) as s,
    lateral (select case said when 'TRACE' then 'DEBUG' when 'WARN' then 'WARNING' when 'FATAL' then 'CRITICAL'
      else said end as level) as l
  where jsonb_typeof(line) = 'object' and line ->> 'message' is not null
    and level in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
    and source in ('orchestrator_gpu', 'orchestrator_api', 'worker')
  order by place;
  get diagnostics written = row_count;
  return jsonb_build_object('success', true, 'inserted', written, 'errors', given - written);
end $$;
select grant_to_service('store_logs(jsonb, text, text, text)');

-- Writes the log lines of a service. Answers how many were written and how many were not.
drop function if exists func_insert_logs_batch(jsonb);
create or replace function func_insert_logs_batch(logs jsonb) returns jsonb
language sql security definer set search_path = public, pg_temp as $$
  select store_logs(logs)
$$;
select grant_to_service('func_insert_logs_batch(jsonb)');

alter table system_logs add column if not exists arrived_at timestamptz not null default now();
comment on column system_logs.arrived_at is
  'By the clock of the database, for a quota: a sender may write any time into timestamp.';

-- Refuses more log lines of a worker that has written too many within a minute. A loop, because it ends at the first older line.
create or replace function require_log_room(p_worker_id text, p_logs jsonb) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  most integer := (select log_bytes_per_min from limits);
  bytes bigint := pg_column_size(p_logs);
  line record;
begin
  for line in
    select l.arrived_at, octet_length(l.message) + pg_column_size(l.metadata) as bytes from system_logs l
    where l.worker_id = p_worker_id order by l.id desc limit 20000
  loop
    exit when line.arrived_at < now() - interval '1 minute' or bytes > most;
    bytes := bytes + line.bytes;
  end loop;
  if bytes > most then
    perform refuse_beyond('PT429', 'p_logs', format('more than %s bytes of log lines within a minute', most),
      'log_bytes_per_min');
  end if;
end $$;
select grant_to_service('require_log_room(text, jsonb)');

-- Writes the log lines of a worker, with its own credential. A task that it never held is removed from a line.
create or replace function worker_logs(p_worker_id text, p_logs jsonb) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  own jsonb := p_logs;
begin
  perform require_worker(p_worker_id);
  if not is_service() then
    perform require_log_room(p_worker_id, p_logs);
  end if;
  if jsonb_typeof(p_logs) = 'array' and jsonb_array_length(p_logs) <= 1000 then
    select coalesce(to_jsonb(array_agg(case
      when jsonb_typeof(line) <> 'object' or jsonb_typeof(line -> 'task_id') = 'string' and exists (
        select from task_attempts where worker_id = p_worker_id and task_id = case
          when line ->> 'task_id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then (line ->> 'task_id')::uuid end)
      then line else line - 'task_id' end order by place)), '[]')
    into own from jsonb_array_elements(p_logs) with ordinality as item (line, place);
  end if;
  return store_logs(own, 'worker', p_worker_id, p_worker_id);
end $$;
select grant_to_everyone('worker_logs(text, jsonb)');

-- Runs in the transaction that fails a worker: its leases are still open then. The copied lines stay when the logs are
-- deleted.
create or replace function workers_diagnose() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into worker_diagnostics (worker_id, reason, details)
  select new.id, coalesce(new.status_reason, 'no reason given'), jsonb_build_object(
    'worker', jsonb_build_object(
      'status', old.status, 'status_reason', old.status_reason, 'pool', old.pool, 'origin', old.origin,
      'instance_type', old.instance_type, 'pod_id', old.pod_id, 'post_state', old.post_state,
      'boot_stage', old.boot_stage, 'boot_stage_age_sec', round(extract(epoch from now() - old.boot_stage_at), 3),
      'age_sec', round(extract(epoch from now() - old.created_at), 3),
      'ready_age_sec', round(extract(epoch from now() - old.ready_at), 3),
      'heartbeat_age_sec', round(extract(epoch from now() - old.last_heartbeat), 3),
      'vram_total_mb', old.vram_total_mb, 'vram_used_mb', old.vram_used_mb,
      'reported_status', old.metadata -> 'reported_status'),
    'task', (
      select jsonb_build_object('task_id', id, 'task_type', task_type, 'attempt', leases,
        'running_sec', round(extract(epoch from now() - leased_at), 3), 'progress', progress,
        'progress_message', progress_message,
        'progress_age_sec', round(extract(epoch from now() - progress_at), 3))
      from tasks where worker_id = new.id and lease_token is not null and lease_ended_at is null),
    'logs', (
      select coalesce(jsonb_agg(jsonb_build_object('timestamp', l.timestamp, 'level', l.log_level,
        'message', left(l.message, 1000), 'task_id', l.task_id) order by l.id), '[]')
      from (select * from system_logs where worker_id = new.id order by id desc limit 20) as l));
  return null;
end $$;
select grant_to_service('workers_diagnose()');
create or replace trigger workers_diagnose after update of status on workers for each row
when (new.status = 'error' and old.status <> 'error')
execute function workers_diagnose();

-- Whether the provider should still be asked for the log of this failed worker's pod.
create or replace function worker_wants_pod_log(p_worker_id text) returns boolean
language sql stable security definer set search_path = public, pg_temp as $$
  select coalesce((select not details ? 'pod_log' from worker_diagnostics where worker_id = p_worker_id order by id desc limit 1),
    false)
$$;
select grant_to_service('worker_wants_pod_log(text)');

-- Adds what the provider showed of the pod's log to the newest diagnostics of a failed worker: {lines: [{source, text}]},
-- the oldest first, or {error}.
create or replace function worker_add_pod_log(p_worker_id text, p_pod_log jsonb) returns void
language sql security definer set search_path = public, pg_temp as $$
  update worker_diagnostics set details = details || jsonb_build_object('pod_log', p_pod_log)
  where id = (select id from worker_diagnostics where worker_id = p_worker_id order by id desc limit 1)
    and not details ? 'pod_log'
$$;
select grant_to_service('worker_add_pod_log(text, jsonb)');

-- The newest workers of a pool that failed within the last hours before they were ready, with their diagnostics.
create or replace function failed_boots(p_pool text, p_limit integer default 3, p_hours integer default 1) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('worker', w.id, 'at', w.failed_at, 'reason', d.reason,
    'stage', d.details -> 'worker' ->> 'boot_stage', 'pod_log', d.details -> 'pod_log') order by w.failed_at desc), '[]')
  from (
    select id, failed_at from workers
    where pool = p_pool and origin = 'pool' and ready_at is null and failed_at > now() - make_interval(hours => p_hours)
    order by failed_at desc limit least(p_limit, 100)) as w
  cross join lateral (
    select reason, details from worker_diagnostics where worker_id = w.id order by id desc limit 1) as d
$$;
select grant_to_service('failed_boots(text, integer, integer)');

-- Deletes log lines older than retention_hours, oldest first. It deletes at most 20,000 a call, so that it ends within
-- any statement timeout. Call it again while it answers "more".
drop function if exists func_cleanup_old_logs(integer);
create or replace function func_cleanup_old_logs(retention_hours integer default 48) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  cutoff timestamptz := now() - make_interval(hours => retention_hours);
  gone integer;
begin
  if retention_hours is null or retention_hours < 1 then
    raise exception 'retention_hours must be at least 1, got %', coalesce(retention_hours::text, 'nothing')
      using errcode = 'PT400';
  end if;
  delete from system_logs where id in (
    select id from system_logs where timestamp < cutoff order by timestamp limit 20000);
  get diagnostics gone = row_count;
  return jsonb_build_object('success', true, 'deleted', gone, 'more', gone = 20000,
    'retention_hours', retention_hours, 'cutoff', cutoff);
end $$;
select grant_to_service('func_cleanup_old_logs(integer)');
