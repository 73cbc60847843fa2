-- The tables of the main job. Where tables of an older orchestrator exist, their missing columns are added and their
-- rows are converted.

-- Sets the default of a column of an adopted table, fills its nulls with it and makes it not null.
create or replace function pg_temp.settle(p_table text, p_column text, p_default text) returns void
language plpgsql as $$
begin
  execute format('alter table public.%I alter column %I set default %s', p_table, p_column, p_default);
  execute format('update public.%I set %I = %s where %I is null', p_table, p_column, p_default, p_column);
  execute format('alter table public.%I alter column %I set not null', p_table, p_column);
end $$;

create or replace function pg_temp.ensure_check(p_table text, p_name text, p_check text) returns void
language plpgsql as $$
begin
  if not exists (select from pg_constraint where conrelid = to_regclass('public.' || p_table) and conname = p_name) then
    execute format('alter table public.%I add constraint %I check (%s)', p_table, p_name, p_check);
  end if;
end $$;

-- Old rows may refer to deleted rows. Then only new values are checked.
create or replace function pg_temp.ensure_reference(p_table text, p_column text, p_target text) returns void
language plpgsql as $$
declare
  clause text := format('alter table public.%I add constraint %I foreign key (%I) references public.%s',
    p_table, p_table || '_' || p_column || '_fkey', p_column, p_target);
begin
  if exists (
    select from pg_constraint c
    join pg_attribute a on a.attrelid = c.conrelid and array[a.attnum] = c.conkey
    where c.conrelid = to_regclass('public.' || p_table) and c.contype = 'f' and a.attname = p_column
  ) then
    return;
  end if;
  execute clause;
exception when foreign_key_violation then
  execute clause || ' not valid';
end $$;

-- Asked before this file adds the column gate. The last block of this file reads the answer.
select set_config('gpu_pool.adopting', (to_regclass('public.tasks') is not null and not exists (
  select from pg_attribute where attrelid = to_regclass('public.tasks') and attname = 'gate' and not attisdropped))::text, true);

create table if not exists pools (
  name text primary key check (name ~ '^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$'),
  mode text not null default 'normal' check (mode in ('normal', 'draining', 'paused', 'closing')),
  hold integer check (hold >= 0),
  hold_until timestamptz,
  intent_version bigint not null default 0,
  config jsonb not null default '{}',
  observed_at timestamptz,
  observing_since timestamptz,
  mass_silence_since timestamptz,
  watch_id text,
  breaker text not null default 'closed' check (breaker in ('closed', 'open', 'half_open')),
  breaker_since timestamptz not null default now(),
  environment jsonb not null default '{}',
  environment_at timestamptz,
  no_place_since timestamptz,
  no_place_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table pools is 'One row per pool: what operators want of it. The row survives any restart of the workflow.';
comment on column pools.mode is
  'draining: ends all workers gracefully, stays at zero; paused: does not scale; closing: as draining, until the next start.';
comment on column pools.hold is 'Fixed size that an operator asked for; null: the policy decides.';
comment on column pools.intent_version is
  'Every message and every start raises it. A reservation that was decided under an older version is refused.';
comment on column pools.config is 'Settings of this pool alone; they override the environment of the Temporal worker.';
comment on column pools.breaker is
  'open: too many workers failed before they were ready, so none is spawned; half_open: one at a time is spawned as a test.';
comment on column pools.breaker_since is 'When the breaker entered this state. Earlier failures do not count.';
comment on column pools.environment is
  'Settings of the newest Temporal worker process, without secrets. The column config overrides them.';
comment on column pools.environment_at is 'When that process started.';
comment on column pools.no_place_since is
  'Since when no place could be found for a pod, whatever was asked; null: the last one that was asked for was found.';
comment on column pools.watch_id is
  'The watch that decides now. Another watch may still run after its workflow ended; it must not decide.';
comment on column pools.observing_since is
  'Start of unbroken good observations. Heartbeat ages never count from an earlier time.';
comment on column pools.mass_silence_since is
  'Since when most of the active workers are silent at the same time; null: they are not.';
select secure_table('pools');

create table if not exists projects (id uuid primary key default gen_random_uuid());
alter table projects
  add column if not exists name text not null default 'default',
  add column if not exists user_id uuid,
  add column if not exists max_running integer check (max_running > 0),
  add column if not exists paused boolean not null default false,
  add column if not exists created_at timestamptz not null default now();
comment on table projects is 'One row per project: the user who owns its tasks, its limit and its pause.';
comment on column projects.max_running is
  'How many tasks of this project may be open or running at the same time; null: no limit.';
select secure_table('projects');

create table if not exists task_types (name text primary key);
alter table task_types
  add column if not exists alias_of text,
  add column if not exists pool text not null default 'main',
  add column if not exists stuck_timeout_sec integer check (stuck_timeout_sec > 0),
  add column if not exists needs_file boolean not null default false,
  add column if not exists created_at timestamptz not null default now();
comment on table task_types is
  'One row per known task type: its pool, its stuck timeout, or the type that it is an alias of. Migrating adds the known types.';
comment on column task_types.pool is 'Tasks of this type go to this pool unless their own row names another one.';
comment on column task_types.needs_file is 'True: a worker cannot complete a task of this type without a stored file.';
select secure_table('task_types');

do $$
begin
  if not exists (
    select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = 'task_types'::regclass and i.indisunique and i.indnkeyatts = 1 and a.attname = 'name'
  ) then
    create unique index task_types_name on task_types (name);
  end if;
  perform pg_temp.ensure_reference('task_types', 'alias_of', 'task_types (name)');
  -- The older orchestrator ran these types without a GPU, so no GPU worker may claim them.
  if exists (select from pg_attribute where attrelid = 'task_types'::regclass and attname = 'run_type' and not attisdropped) then
    update task_types set pool = to_jsonb(task_types) ->> 'run_type'
    where pool = 'main' and to_jsonb(task_types) ->> 'run_type' <> 'gpu';
  end if;
end $$;

-- An adopted table may require columns that this row lacks. Nothing depends on it.
do $$
begin
  insert into projects (id, name) values ('00000000-0000-0000-0000-000000000000', 'default') on conflict do nothing;
exception when not_null_violation or foreign_key_violation then
  raise notice 'there is no default project: every task must name its project';
end $$;

create table if not exists workers (id text primary key) with (fillfactor = 70);
alter table workers set (fillfactor = 70);
alter table workers
  add column if not exists pool text,
  add column if not exists status text,
  add column if not exists origin text,
  add column if not exists instance_type text,
  add column if not exists decision_id text,
  add column if not exists pod_id text,
  add column if not exists post_state text,
  add column if not exists posted_at timestamptz,
  add column if not exists boot_stage text not null default 'reserved',
  add column if not exists boot_stage_at timestamptz not null default now(),
  add column if not exists token_hash text,
  add column if not exists token_expires_at timestamptz,
  add column if not exists created_at timestamptz not null default now(),
  add column if not exists ready_at timestamptz,
  add column if not exists last_heartbeat timestamptz,
  add column if not exists vram_total_mb integer,
  add column if not exists vram_used_mb integer,
  add column if not exists vram_at timestamptz,
  add column if not exists last_signal text,
  add column if not exists last_signal_at timestamptz,
  add column if not exists status_reason text,
  add column if not exists terminating_at timestamptz,
  add column if not exists drains_without_deadline boolean not null default false,
  add column if not exists failed_at timestamptz,
  add column if not exists failed_on text,
  add column if not exists pod_created_at timestamptz,
  add column if not exists deleted_at timestamptz,
  add column if not exists gone_at timestamptz,
  add column if not exists cost_per_hr_usd numeric(10, 4),
  add column if not exists expected_usd_per_hr numeric(10, 4),
  add column if not exists cost_usd numeric(12, 6),
  add column if not exists metadata jsonb not null default '{}';
comment on table workers is 'One row per GPU worker, also after its end: its pod, its clocks, its credential and its cost.';
comment on column workers.post_state is
  'posting: one create request has no known result; burned: the name must never be used again.';
comment on column workers.boot_stage_at is 'The deadline of the boot stage counts from here.';
comment on column workers.terminating_at is 'GRACEFUL_SHUTDOWN_TIMEOUT_SEC counts from here.';
comment on column workers.drains_without_deadline is
  'The worker leaves after its task. No deadline ends the task as long as it makes progress.';
comment on column workers.vram_at is 'When a heartbeat last contained VRAM figures.';
comment on column workers.failed_on is
  'Which evidence ended the worker; null also where a deadline of its own workflow ended it. funds: its pod was refused, '
  'because the account has no funds; place: no place was found for its pod.';
comment on column workers.expected_usd_per_hr is
  'Price of its pod by the catalog, when it was booked or last asked for; counts until the provider says the price.';
comment on column workers.gone_at is 'When the provider was seen to have no such pod. Until then the pod may cost money.';
comment on column workers.token_hash is 'SHA-256 of the worker''s own credential.';
comment on column workers.origin is
  'external: not spawned by the pool. It counts while its heartbeat is fresh and is never deleted. job: a pod that was rented '
  'for one job (pod_jobs) and works on no task.';
select secure_table('workers');

create table if not exists tasks (id uuid primary key default gen_random_uuid());
alter table tasks
  add column if not exists task_type text not null,
  add column if not exists params jsonb,
  add column if not exists status text,
  add column if not exists attempts integer,
  add column if not exists worker_id text,
  add column if not exists project_id uuid,
  add column if not exists dependant_on uuid,
  add column if not exists priority integer,
  add column if not exists pool text,
  add column if not exists gate text not null default 'open',
  add column if not exists vtime bigint not null default 0,
  add column if not exists output_location text,
  add column if not exists result_data jsonb,
  add column if not exists error_message text,
  add column if not exists generation_started_at timestamptz,
  add column if not exists generation_processed_at timestamptz,
  add column if not exists generation_created boolean,
  add column if not exists created_at timestamptz,
  add column if not exists updated_at timestamptz,
  add column if not exists parent_id uuid,
  add column if not exists delegated_at timestamptz,
  add column if not exists error_details text,
  add column if not exists leases integer not null default 0,
  add column if not exists lease_token uuid,
  add column if not exists leased_at timestamptz,
  add column if not exists lease_ended_at timestamptz,
  add column if not exists claimable_at timestamptz,
  add column if not exists progress real,
  add column if not exists progress_message text,
  add column if not exists progress_at timestamptz,
  add column if not exists reports_progress boolean not null default true;
-- A claim and a completion each write a new version of the row. With this room it stands on the same page.
alter table tasks set (fillfactor = 75);
comment on table tasks is
  'The queue, its leases and its results: one row per task, with its open or completed attempt. Clients insert rows as Queued.';
comment on column tasks.gate is
  'open: may be claimed; held: its project is paused or at its limit; blocked: waits for the task in dependant_on, or for '
  'its siblings; delayed: was handed back without progress and waits until delayed_until.';
comment on column tasks.vtime is 'Place in line among tasks of equal priority (start-time fair queuing between projects).';
comment on column tasks.parent_id is
  'The orchestrator task that created this one: params.orchestrator_task_id_ref, if that task is of the same project. It '
  'may have been deleted: no foreign key, because its deletion would then wait for sub-tasks that wait for it.';
comment on column tasks.delegated_at is
  'Since when this task waits for its sub-tasks. It is In Progress then, but no worker holds it.';
comment on column tasks.error_details is 'Workers of the old protocol write it when they return a task after a fatal error.';
comment on column tasks.attempts is
  'Attempts that count. A claim raises it; it is lowered again when the task did not cause the end of the attempt.';
select secure_table('tasks');

do $$
declare
  adopting boolean := current_setting('gpu_pool.adopting')::boolean;
  unknown text;
  failed integer;
begin
  if adopting then
    insert into pools (name) values ('main') on conflict do nothing;
    -- The pool did not create the pods of these workers. They count and can be drained, but are never deleted.
    update workers set origin = 'external', pool = 'main' where origin is null;
    update workers set status = 'spawning'
    where status is null or status not in ('active', 'terminating', 'terminated', 'error');
    update workers set boot_stage = 'ready', ready_at = coalesce(created_at, last_heartbeat) where last_heartbeat is not null;
    update workers set status = 'terminated', status_reason = 'silent when the table was adopted'
    where status in ('spawning', 'active', 'terminating')
      and coalesce(last_heartbeat, created_at, '-infinity') < now() - interval '1 hour';
    update workers set gone_at = coalesce(last_heartbeat, created_at, now()) where status in ('terminated', 'error');

    if (select atttypid = 'text'::regtype from pg_attribute where attrelid = 'tasks'::regclass and attname = 'status') then
      update tasks set status = case lower(replace(status, '_', ' '))
        when 'queued' then 'Queued' when 'pending' then 'Queued'
        when 'in progress' then 'In Progress' when 'running' then 'In Progress'
        when 'complete' then 'Complete' when 'completed' then 'Complete'
        when 'failed' then 'Failed' when 'error' then 'Failed'
        when 'cancelled' then 'Cancelled' when 'canceled' then 'Cancelled' else status end
      where status not in ('Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled');
    end if;
    select string_agg(distinct status::text, ', ') into unknown from tasks
    where status::text not in ('Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled');
    if unknown is not null then
      raise exception 'cannot adopt tasks: status % has no meaning here', unknown
        using hint = 'Set these rows to Queued, In Progress, Complete, Failed or Cancelled; migrate again. No row was changed.';
    end if;

    if exists (select from projects where id = '00000000-0000-0000-0000-000000000000') then
      perform pg_temp.settle('tasks', 'project_id', '''00000000-0000-0000-0000-000000000000''');
    end if;
    update tasks set created_at = now() where created_at is null;
    update tasks set pool = coalesce((select t.pool from task_types t where t.name = task_type limit 1), 'main')
    where pool is null;
    update tasks set vtime = (extract(epoch from created_at) * 1000000)::bigint where status = 'Queued';
    -- A task that waits for a failed one can never run; neither can a task that waits for it.
    loop
      update tasks child set status = 'Failed',
        error_message = format('depends on task %s, which is %s', parent.id, parent.status)
      from tasks parent
      where child.dependant_on = parent.id and child.status = 'Queued' and parent.status in ('Failed', 'Cancelled');
      get diagnostics failed = row_count;
      exit when failed = 0;
    end loop;
    update tasks child set gate = 'blocked'
    where status = 'Queued' and dependant_on is not null and not exists (
      select from tasks parent where parent.id = child.dependant_on and parent.status = 'Complete');
    -- Columns of these names that were there say nothing about our leases. A progress that is no fraction may be in percent.
    update tasks set leases = 0, lease_token = null, leased_at = null, lease_ended_at = null, claimable_at = null,
      progress = case when progress between 0 and 1 then progress end, reports_progress = true
    where leases is distinct from 0 or lease_token is not null or leased_at is not null or lease_ended_at is not null
      or claimable_at is not null or progress not between 0 and 1 or reports_progress is not true;
    -- The task of a living worker gets a lease. An orchestrator task waits for its sub-tasks and holds no worker.
    update tasks set leases = greatest(attempts, 1), attempts = greatest(attempts, 1), lease_token = gen_random_uuid(),
      leased_at = coalesce(generation_started_at, now()), reports_progress = false
    where id in (
      select distinct on (t.worker_id) t.id
      from tasks t join workers w on w.id = t.worker_id
      where t.status = 'In Progress' and w.gone_at is null and t.task_type not like '%orchestrator%'
      order by t.worker_id, t.generation_started_at desc nulls last);
    -- As at each claim: what a later write finds here is a new error.
    update tasks set error_message = null, error_details = null
    where status = 'In Progress' and (error_message is not null or error_details is not null);
  else
    perform pg_temp.settle('tasks', 'project_id', '''00000000-0000-0000-0000-000000000000''');
  end if;

  perform pg_temp.settle('workers', c.name, c.value) from (values
    ('status', '''spawning'''), ('origin', '''pool'''), ('metadata', '''{}'''), ('created_at', 'now()')) as c(name, value);
  alter table workers alter column pool set not null;
  perform pg_temp.settle('tasks', c.name, c.value) from (values
    ('params', '''{}'''), ('status', '''Queued'''), ('attempts', '0'), ('priority', '0'), ('generation_created', 'false'),
    ('created_at', 'now()'), ('updated_at', 'now()'), ('leases', '0'), ('reports_progress', 'true')) as c(name, value);
  perform pg_temp.ensure_check('workers', 'workers_status_check',
    'status in (''spawning'', ''active'', ''terminating'', ''terminated'', ''error'')');
  perform pg_temp.ensure_check('workers', 'workers_origin_check', 'origin in (''pool'', ''external'', ''job'')');
  perform pg_temp.ensure_check('workers', 'workers_post_state_check', 'post_state in (''posting'', ''posted'', ''burned'')');
  perform pg_temp.ensure_check('workers', 'workers_failed_on_check',
    'failed_on in (''provider'', ''heartbeat'', ''progress'', ''funds'', ''place'', ''report'', ''failures'')');
  perform pg_temp.ensure_reference('workers', 'pool', 'pools (name)');
  perform pg_temp.ensure_reference('tasks', 'project_id', 'projects (id)');
  perform pg_temp.ensure_reference('tasks', 'dependant_on', 'tasks (id)');
  -- A constraint trigger that is still pending would block the next statement that changes its table.
  set constraints all immediate;
end $$;
