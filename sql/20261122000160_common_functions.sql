-- Functions that several later files call.

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
  raise exception '%: %', one_line(p_argument), one_line(p_problem)
    using errcode = 'PT400', detail = regexp_replace(one_line(p_argument), '^p_', ''), hint = coalesce(p_hint, '');
end $$;
select grant_to_service('refuse_argument(text, text, text)');

-- Whether the caller is the service role or the database's owner.
create or replace function is_service() returns boolean
language sql stable set search_path = public, pg_temp as $$
  select coalesce(nullif(current_setting('role', true), ''), 'none') in ('service_role', 'none')
$$;
select grant_to_service('is_service()');

-- How many attempts a task gets. Only attempts that count are counted.
create or replace function attempt_limit() returns integer
language sql immutable set search_path = public, pg_temp as $$ select 3 $$;
select grant_to_service('attempt_limit()');

create or replace function to_ms(p_at timestamptz) returns bigint
language sql immutable set search_path = public, pg_temp as $$
  select case when isfinite(p_at) then (extract(epoch from p_at) * 1000)::bigint end
$$;
select grant_to_service('to_ms(timestamptz)');

-- Whether the text of a JSON value holds a number beyond 2^53 - 1, which programs in JavaScript would round. The first test
-- is fast, and most values end there.
create or replace function has_long_number(p_value jsonb) returns boolean
language sql immutable set search_path = public, pg_temp as $$
  select p_value::text ~ '[0-9]{16}' and jsonb_path_exists(p_value,
    '$.** ? (@.type() == "number" && (@ > 9007199254740991 || @ < -9007199254740991))')
$$;
select grant_to_service('has_long_number(jsonb)');

create or replace function require_exact_numbers(p_field text, p_value jsonb) returns void
language plpgsql immutable set search_path = public, pg_temp as $$
declare
  name text;
begin
  if not has_long_number(p_value) then
    return;
  end if;
  if jsonb_typeof(p_value) = 'object' then
    select '.' || key into name from jsonb_each(p_value) where has_long_number(value) limit 1;
  end if;
  raise exception '%: numbers from -9007199254740991 to 9007199254740991 are expected', one_line(p_field || coalesce(name, ''))
    using errcode = 'PT400', detail = p_field,
      hint = 'A longer number would be rounded by programs on its way. Send it as a text, or choose one within the limit.';
end $$;
select grant_to_service('require_exact_numbers(text, jsonb)');

-- The value for a reader that rounds long numbers: those are texts in it, with all their digits. Written by the pieces of its
-- text, which are strings, numbers and what is between them: an aggregate of objects, and a call for each level, take a time that
-- grows with the square of the size.
create or replace function exact_numbers(p_value jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
  select case when not coalesce(has_long_number(p_value), false) then p_value else (
    select string_agg(case
      when piece[1] ~ '^-?[0-9.]{16}' and abs(piece[1]::numeric) > 9007199254740991 then '"' || piece[1] || '"'
      else piece[1] end, '' order by place)::jsonb
    from regexp_matches(p_value::text,
      '("(?:[^"\\]|\\.)*"|-?[0-9][0-9.]*|[^"0-9-]+)', 'g') with ordinality as p (piece, place)) end
$$;
select grant_to_service('exact_numbers(jsonb)');

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
    using errcode = 'PT404', hint = 'Register the worker with one of the pools: gpu-pool pool list.';
end $$;
select grant_to_service('default_pool()');

-- The pool `personal` is the place of users' own machines. Nothing starts there, and no worker of a pool or of an operator stands
-- in it, because each claim there is that of one user.
create or replace function is_reserved_pool(p_name text) returns boolean
language sql immutable set search_path = public, pg_temp as $$ select p_name = 'personal' $$;
select grant_to_service('is_reserved_pool(text)');

create or replace function refuse_reserved_pool() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
  raise exception '%: the name % is reserved for users'' own machines', tg_argv[0], tg_argv[1]
    using errcode = 'PT400', detail = tg_argv[0], hint = 'Choose another name for the pool.';
end $$;
select grant_to_service('refuse_reserved_pool()');
create or replace trigger task_types_reserved before insert or update of pool on task_types for each row
when (is_reserved_pool(new.pool))
execute function refuse_reserved_pool('pool', 'personal');
