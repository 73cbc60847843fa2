-- Small functions that later migrations use.

-- Makes a caller's text safe for an error message. PostgREST sends the message of a PTxyz error in the HTTP status
-- line, which a line break would end.
create or replace function one_line(p_text text) returns text
language sql immutable set search_path = public, pg_temp as $$
  select regexp_replace(left(p_text, 200), '[[:cntrl:]]', ' ', 'g')
$$;
select grant_to_service('one_line(text)');

create or replace function refuse_argument(p_argument text, p_problem text, p_hint text default null) returns void
language plpgsql immutable set search_path = public, pg_temp as $$
begin
  raise exception '%: %', one_line(p_argument), one_line(p_problem) using errcode = 'PT400', hint = coalesce(p_hint, '');
end $$;
select grant_to_service('refuse_argument(text, text, text)');

-- Whether the caller is the service role or the database's owner.
create or replace function is_service() returns boolean
language sql stable set search_path = public, pg_temp as $$
  select coalesce(nullif(current_setting('role', true), ''), 'none') in ('service_role', 'none')
$$;
select grant_to_service('is_service()');

create or replace function to_ms(p_at timestamptz) returns bigint
language sql immutable set search_path = public, pg_temp as $$ select (extract(epoch from p_at) * 1000)::bigint $$;
select grant_to_service('to_ms(timestamptz)');

-- The status that a name means: the status itself, or one of its other names. An unknown name is returned unchanged,
-- and the triggers refuse it.
create or replace function task_status_named(p_name text) returns text
language sql immutable set search_path = public, pg_temp as $$
  select case translate(lower(p_name), '_-', '  ')
    when 'queued' then 'Queued' when 'pending' then 'Queued'
    when 'in progress' then 'In Progress' when 'running' then 'In Progress' when 'processing' then 'In Progress'
    when 'complete' then 'Complete' when 'completed' then 'Complete' when 'success' then 'Complete'
    when 'failed' then 'Failed' when 'error' then 'Failed'
    when 'cancelled' then 'Cancelled' when 'canceled' then 'Cancelled'
    else p_name end
$$;
select grant_to_service('task_status_named(text)');

create or replace function journal(
  p_pool text, p_kind text, p_reason text, p_worker_id text default null, p_decision_id text default null,
  p_details jsonb default '{}')
returns void
language sql security definer set search_path = public, pg_temp as $$
  insert into pool_events (pool, kind, reason, worker_id, decision_id, details)
  values (p_pool, p_kind, p_reason, p_worker_id, p_decision_id, coalesce(p_details, '{}'))
$$;
select grant_to_service('journal(text, text, text, text, text, jsonb)');

-- The pool of a worker that names no pool.
create or replace function default_pool() returns text
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  found_pools text[];
begin
  select array_agg(name order by name <> 'main', name) into found_pools from pools;
  if found_pools[1] = 'main' or cardinality(found_pools) = 1 then
    return found_pools[1];
  end if;
  raise exception 'no pool for this worker: none is named main, and there is not exactly one'
    using errcode = 'PT404', hint = 'Start the pool (gpu-pool pool start), or register the worker with a pool.';
end $$;
select grant_to_service('default_pool()');

-- Decodes a percent-encoded address. Returns an address with a wrong encoding unchanged.
create or replace function percent_decoded(p_text text) returns text
language plpgsql immutable set search_path = public, pg_temp as $$
begin
  if position('%' in p_text) = 0 then
    return p_text;
  end if;
  begin
    return (
      select convert_from(string_agg(case when part[1] is null then convert_to(part[2], 'utf8')
        else decode(part[1], 'hex') end, '' order by place), 'utf8')
      from regexp_matches(p_text, '%([0-9a-fA-F]{2})|([^%]+|%)', 'g') with ordinality as piece (part, place));
  exception when character_not_in_repertoire then
    return p_text;
  end;
end $$;
select grant_to_service('percent_decoded(text)');

-- Whether an object lies below the id of this task or of one of its sub-tasks. An orchestrator task may pass on the
-- file of a sub-task.
create or replace function is_own_object(p_task_id uuid, p_name text) returns boolean
language sql stable security definer set search_path = public, pg_temp as $$
  select starts_with(p_name, p_task_id || '/')
    or exists (select from tasks where parent_id = p_task_id and starts_with(p_name, id || '/'))
$$;
select grant_to_service('is_own_object(uuid, text)');

-- Whether the file at a public address of this storage exists; null: the text is no such address.
create or replace function is_stored(p_location text) returns boolean
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  part text[] := regexp_match(p_location, '/storage/v1/object/public/([^/?]+)/([^?]+)');
  found_file boolean;
begin
  if part is null or to_regclass('storage.objects') is null then
    return null;
  end if;
  select exists (
    select from storage.objects
    where bucket_id in (part[1], percent_decoded(part[1])) and name in (part[2], percent_decoded(part[2]))
      and (metadata ->> 'size')::bigint > 0) into found_file;
  return found_file;
end $$;
select grant_to_service('is_stored(text)');

create or replace function require_stored(p_task_id uuid, p_location text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if is_stored(p_location) = false then
    raise exception 'task % cannot complete: % is not in storage', p_task_id, one_line(p_location)
      using errcode = 'PT409', hint = 'Upload the file first.';
  end if;
end $$;
select grant_to_service('require_stored(uuid, text)');
