-- Adopts the tables of an older orchestrator: their rows, their additional columns and their enums stay. This migration
-- removes what is in the way and converts columns to the types that the functions use. The next migration adds what is
-- missing.

-- Converts a column of an adopted table to the type that the functions use.
create or replace function pg_temp.retype(p_table text, p_column text, p_type text) returns void
language plpgsql as $$
declare
  found_type text;
  found_default text;
begin
  select format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid) into found_type, found_default
  from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attrelid = to_regclass('public.' || p_table) and a.attname = p_column and not a.attisdropped;
  if not found or found_type = p_type then
    return;
  end if;
  if found_default is not null then
    execute format('alter table public.%I alter column %I drop default', p_table, p_column);
  end if;
  -- An empty text and an empty list are no id. A list of one id is read as that id.
  execute format('alter table public.%I alter column %I type %s using %s::%s', p_table, p_column, p_type,
    case p_type when 'uuid' then format('nullif(nullif(%I::text, ''''), ''{}'')', p_column) else format('%I::text', p_column) end,
    p_type);
exception when others then
  raise exception 'cannot adopt %.%: it is of type % and must become %: %', p_table, p_column, found_type, p_type, sqlerrm
    using hint = 'Convert the column, or drop what depends on its type, then migrate again. Nothing was changed.';
end $$;

do $$
declare
  adopting boolean := to_regclass('public.tasks') is not null and not exists (
    select from pg_attribute where attrelid = to_regclass('public.tasks') and attname = 'gate' and not attisdropped);
  old record;
  status_type regtype;
begin
  if not adopting then
    return;
  end if;
  -- Our views and functions have the same names but return more columns.
  for old in
    select c.oid::regclass as name from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'v' and c.relname in (
      'orchestrator_status', 'active_workers_health', 'recent_task_activity', 'worker_performance', 'task_queue_analysis',
      'normalized_task_status', 'v_recent_errors', 'v_worker_log_activity')
  loop
    execute format('drop view if exists %s cascade', old.name);
  end loop;
  for old in
    select p.oid::regprocedure as name from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname in (
      'func_claim_available_task', 'func_claim_task', 'func_mark_task_complete', 'func_mark_task_failed',
      'func_reset_orphaned_tasks', 'func_update_worker_heartbeat', 'func_worker_heartbeat_with_logs',
      'func_get_tasks_by_status', 'func_update_task_status', 'func_insert_logs_batch', 'func_cleanup_old_logs')
  loop
    execute format('drop function if exists %s', old.name);
  end loop;
  -- With an index on the heartbeat, each heartbeat writes new index entries.
  drop index if exists idx_workers_status_heartbeat;
  for old in
    select c.conrelid::regclass as table_name, c.conname as name from pg_constraint c
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
    where c.conrelid in (to_regclass('public.tasks'), to_regclass('public.workers')) and c.contype = 'c' and a.attname = 'status'
  loop
    execute format('alter table %s drop constraint %I', old.table_name, old.name);
  end loop;

  select a.atttypid into status_type from pg_attribute a
  join pg_type t on t.oid = a.atttypid and t.typtype = 'e'
  where a.attrelid = to_regclass('public.tasks') and a.attname = 'status';
  if found then
    for old in
      select label from unnest(array['Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled']) as label
      where not exists (select from pg_enum where enumtypid = status_type and enumlabel = label)
    loop
      execute format('alter type %s add value %L', status_type, old.label);
    end loop;
    -- Functions assign text to this column.
    if not exists (select from pg_cast where castsource = 'text'::regtype and casttarget = status_type) then
      execute format('create cast (text as %s) with inout as assignment', status_type);
    end if;
  else
    perform pg_temp.retype('tasks', 'status', 'text');
  end if;
  perform pg_temp.retype('tasks', c.name, c.type) from (values
    ('id', 'uuid'), ('task_type', 'text'), ('params', 'jsonb'), ('attempts', 'integer'), ('worker_id', 'text'),
    ('project_id', 'uuid'), ('dependant_on', 'uuid'), ('priority', 'integer'), ('output_location', 'text'),
    ('result_data', 'jsonb'), ('error_message', 'text'), ('generation_started_at', 'timestamp with time zone'),
    ('generation_processed_at', 'timestamp with time zone'), ('generation_created', 'boolean'),
    ('created_at', 'timestamp with time zone'), ('updated_at', 'timestamp with time zone'),
    ('leases', 'integer'), ('lease_token', 'uuid'), ('leased_at', 'timestamp with time zone'),
    ('lease_ended_at', 'timestamp with time zone'), ('claimable_at', 'timestamp with time zone'), ('progress', 'real'),
    ('progress_message', 'text'), ('progress_at', 'timestamp with time zone'), ('reports_progress', 'boolean')) as c(name, type);
  perform pg_temp.retype('workers', c.name, c.type) from (values
    ('id', 'text'), ('status', 'text'), ('instance_type', 'text'), ('metadata', 'jsonb'),
    ('created_at', 'timestamp with time zone'), ('last_heartbeat', 'timestamp with time zone')) as c(name, type);
  perform pg_temp.retype('projects', 'id', 'uuid');
end $$;

-- The older table of logs has random ids. Its rows stay and get new ids in the order of their time.
do $$
declare
  old record;
begin
  if not exists (select from pg_attribute where attrelid = to_regclass('public.system_logs')
    and attname = 'id' and not attisdropped and atttypid <> 'bigint'::regtype)
  then
    return;
  end if;
  for old in
    select conname as name from pg_constraint where conrelid = 'system_logs'::regclass and contype in ('c', 'f', 'p')
  loop
    execute format('alter table system_logs drop constraint %I', old.name);
  end loop;
  alter table system_logs drop column id;
  alter table system_logs
    add column id bigint,
    add column if not exists timestamp timestamptz,
    add column if not exists source_type text,
    add column if not exists source_id text,
    add column if not exists log_level text,
    add column if not exists message text,
    add column if not exists task_id uuid,
    add column if not exists worker_id text,
    add column if not exists cycle_number integer,
    add column if not exists metadata jsonb;
  perform pg_temp.retype('system_logs', c.name, c.type) from (values
    ('timestamp', 'timestamp with time zone'), ('source_type', 'text'), ('source_id', 'text'), ('log_level', 'text'),
    ('message', 'text'), ('task_id', 'uuid'), ('worker_id', 'text'), ('cycle_number', 'integer'), ('metadata', 'jsonb')
  ) as c(name, type);
  update system_logs line set id = placed.id, timestamp = coalesce(line.timestamp, now()),
    metadata = coalesce(line.metadata, '{}'), message = coalesce(line.message, ''),
    source_type = case when line.source_type in ('orchestrator_gpu', 'orchestrator_api', 'worker') then line.source_type
      when line.worker_id is not null then 'worker' else 'orchestrator_gpu' end,
    log_level = case upper(line.log_level) when 'TRACE' then 'DEBUG' when 'WARN' then 'WARNING' when 'FATAL' then 'CRITICAL'
      else case when upper(line.log_level) in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL') then upper(line.log_level)
        else 'INFO' end end
  from (select ctid as place, row_number() over (order by timestamp, ctid) as id from system_logs) as placed
  where line.ctid = placed.place;
  alter table system_logs
    alter column id set not null,
    alter column id add generated always as identity,
    add primary key (id),
    alter column timestamp set default now(),
    alter column timestamp set not null,
    alter column source_type set not null,
    alter column source_id drop not null,
    alter column log_level set not null,
    alter column message set not null,
    alter column metadata set default '{}',
    alter column metadata set not null,
    add constraint system_logs_source_type_check check (source_type in ('orchestrator_gpu', 'orchestrator_api', 'worker')),
    add constraint system_logs_log_level_check check (log_level in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'));
  perform setval(pg_get_serial_sequence('system_logs', 'id'), coalesce(max(id), 0) + 1, false) from system_logs;
end $$;
