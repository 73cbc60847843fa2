-- One caller's share of everybody's database is limited. The limits stand in one row, which an operator may change; each refusal
-- names its limit by the column. docs/security.md has them in a table.

create table if not exists limits (
  is_only boolean primary key default true check (is_only),
  json_bytes integer not null default 262144 check (json_bytes between 4096 and 16777216),
  json_values integer not null default 20000 check (json_values between 1000 and 1000000),
  json_levels integer not null default 500 check (json_levels between 20 and 500),
  json_digits integer not null default 400 check (json_digits between 40 and 1000),
  answer_bytes integer not null default 8388608 check (answer_bytes between 65536 and 67108864),
  task_chain integer not null default 250 check (task_chain between 1 and 10000),
  task_fan_out integer not null default 1000 check (task_fan_out between 1 and 100000),
  task_tree integer not null default 2000 check (task_tree between 1 and 100000),
  open_tasks integer not null default 10000 check (open_tasks > 0),
  tasks_per_min integer not null default 600 check (tasks_per_min > 0),
  tokens integer not null default 100 check (tokens > 0),
  log_bytes_per_min integer not null default 8388608 check (log_bytes_per_min > 0),
  lease_files integer not null default 200 check (lease_files between 2 and 100000),
  lease_file_bytes bigint not null default 4294967296 check (lease_file_bytes > 0),
  webhooks integer not null default 20 check (webhooks > 0)
);
comment on table limits is 'One row: what one caller may take of the database. Each refusal names its limit by the column.';
comment on column limits.json_bytes is 'Bytes of one JSON value, as Postgres writes it.';
comment on column limits.json_values is 'Keys and elements of one JSON value, at all levels.';
comment on column limits.json_levels is
  'Levels of one JSON value. Postgres itself reads some thousand; functions could not read what it can just store.';
comment on column limits.json_digits is
  'Digits of one number in JSON, when it is written without an exponent: 1e131071 is a text of 131,072 characters.';
comment on column limits.task_chain is 'Unfinished tasks of which each waits for the next one, or is its sub-task.';
comment on column limits.task_fan_out is 'Unfinished tasks that wait for one task, and unfinished sub-tasks of one task.';
comment on column limits.task_tree is
  'Unfinished tasks that hang together: the end of one may end all of them, in one transaction.';
comment on column limits.open_tasks is 'Tasks of one project that wait, where others than the service key add one.';
comment on column limits.tasks_per_min is 'Tasks of one project within a minute, where others than the service key add one.';
comment on column limits.tokens is 'Valid personal access tokens of one user, where the user makes one.';
comment on column limits.log_bytes_per_min is 'Bytes of log lines that one worker writes within a minute, with its credential.';
comment on column limits.lease_files is 'Files that one attempt of a task stores.';
comment on column limits.lease_file_bytes is 'Bytes of these files together.';
comment on column limits.webhooks is 'Addresses for notifications of one project, and of all projects together.';
comment on column limits.answer_bytes is 'Bytes of one page of a list of tasks; it has at least one task.';
select secure_table('limits');
insert into limits default values on conflict do nothing;

-- Why a value cannot be stored: {what, limit, code}; null: it can. p_times multiplies the limit of bytes and of values, for
-- columns that only this program writes. A value is measured in its binary form before its numbers are looked at, and those
-- before it is written as text, because a small value may be a text of gigabytes.
create or replace function json_problem(p_value jsonb, p_times integer default 1) returns text[]
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  most limits;
  bytes bigint;
begin
  select * into most from limits;
  bytes := most.json_bytes::bigint * p_times;
  -- No text is shorter than a quarter of its binary form.
  if pg_column_size(p_value) > 4 * bytes + 4096 then
    return array[format('more than %s bytes', bytes), 'json_bytes', 'PT413'];
  end if;
  if jsonb_path_exists(p_value, format('strict $.**{%s}', most.json_levels + 1)::jsonpath) then
    return array['nested too deeply', 'json_levels', 'PT400'];
  end if;
  if exists (
    select from jsonb_path_query(p_value, 'strict $.** ? (@.type() == "number")') as n (value)
    where scale(value::numeric) > most.json_digits or abs(value::numeric) >= ('1e' || most.json_digits)::numeric)
  then
    return array[format('a number of more than %s digits', most.json_digits), 'json_digits', 'PT400'];
  end if;
  if octet_length(p_value::text) > bytes then
    return array[format('more than %s bytes', bytes), 'json_bytes', 'PT413'];
  end if;
  -- Each value takes two bytes at least.
  if pg_column_size(p_value) > 2 * most.json_values and (
    select count(*) from jsonb_path_query(p_value, 'strict $.**.type()')) > most.json_values::bigint * p_times
  then
    return array[format('more than %s keys and elements', most.json_values::bigint * p_times), 'json_values', 'PT400'];
  end if;
  return null;
end $$;
select grant_to_service('json_problem(jsonb, integer)');

-- The refusal of what is beyond a limit. Each names its limit.
create or replace function refuse_beyond(p_code text, p_field text, p_problem text, p_limit text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  raise exception '%: % (limit %)', one_line(p_field), one_line(p_problem), p_limit using errcode = p_code, detail = p_field,
    hint = format('An operator sets %s in the table limits.', p_limit);
end $$;
select grant_to_service('refuse_beyond(text, text, text, text)');

create or replace function require_fit_json(p_column text, p_value jsonb, p_times integer default 1) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  problem text[];
begin
  if p_value is null then
    return;
  end if;
  problem := json_problem(p_value, p_times);
  if problem is not null then
    perform refuse_beyond(problem[3], p_column, problem[1], problem[2]);
  end if;
end $$;
select grant_to_service('require_fit_json(text, jsonb, integer)');

-- The text of a value, if the value can be stored.
create or replace function fit_text(p_column text, p_value jsonb) returns text
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  perform require_fit_json(p_column, p_value);
  return p_value::text;
end $$;
select grant_to_service('fit_text(text, jsonb)');

-- The arguments are the column and p_times of json_problem. The functions tasks_admit, tasks_guard and finish_task check what
-- is not checked here, because a trigger's condition is parsed again in each statement.
create or replace function refuse_unfit_json() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_fit_json(tg_argv[0], to_jsonb(new) -> tg_argv[0], tg_argv[1]::integer);
  return new;
end $$;
select grant_to_service('refuse_unfit_json()');
create or replace trigger tasks_params_fit before update of params on tasks for each row
when (new.params is distinct from old.params) execute function refuse_unfit_json('params', '1');
create or replace trigger workers_metadata_fit before insert or update of metadata on workers for each row
when (new.metadata <> '{}') execute function refuse_unfit_json('metadata', '1');
create or replace trigger pools_config_fit before insert or update of config on pools for each row
when (new.config <> '{}') execute function refuse_unfit_json('config', '1');
create or replace trigger pools_environment_fit before insert or update of environment on pools for each row
when (new.environment <> '{}') execute function refuse_unfit_json('environment', '1');
-- A decision about a large fleet names every worker.
create or replace trigger pool_events_fit before insert or update of details on pool_events for each row
when (new.details <> '{}') execute function refuse_unfit_json('details', '16');
create or replace trigger outbox_payload_fit before insert or update of payload on outbox for each row
when (new.payload <> '{}') execute function refuse_unfit_json('payload', '4');
