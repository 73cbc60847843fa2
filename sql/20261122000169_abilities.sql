-- The types of tasks that each worker may claim. They stand in the worker's row; count and claim both use them.

alter table workers
  add column if not exists task_types text[],
  add column if not exists task_types_at timestamptz;
comment on column workers.task_types is
  'Types of the tasks that it can do, by the names under which tasks are stored. Null: nobody has said, so it may claim any.';
comment on column workers.task_types_at is
  'When the worker itself said what it can do; null: its launch profile or an operator did, or nobody.';

alter table pools add column if not exists task_types text[];
comment on column pools.task_types is
  'What its launch profile is known to do, as the newest watch has it; null: anything, or none has looked yet.';

-- Claim and count: the first task of one type in the line of one pool. The queries name the pool by the same expression: with
-- `pool = …` Postgres might take the index tasks_open, and walk past all tasks of other types.
create index if not exists tasks_open_type on tasks (task_type, (pool || ''), priority desc, vtime, id)
  where status = 'Queued' and gate = 'open';

create or replace function require_task_types(p_argument text, p_types text[]) returns void
language plpgsql immutable set search_path = public, pg_temp as $$
begin
  if cardinality(p_types) > 500 or exists (
    select from unnest(p_types) as t (name) where name is null or length(name) not between 1 and 200)
  then
    perform refuse_argument(p_argument, 'at most 500 names of task types are expected, each of 1 to 200 characters',
      'Null stands for all types, an empty list for none.');
  end if;
end $$;
select grant_to_service('require_task_types(text, text[])');

-- The names under which tasks of these types are stored: the types themselves, and those that they are aliases of.
create or replace function stored_task_types(p_types text[]) returns text[]
language sql stable security definer set search_path = public, pg_temp as $$
  select case when p_types is not null then array(
    select name from unnest(p_types) as given (name)
    union
    select k.alias_of from unnest(p_types) as given (name) join task_types k on k.name = given.name
    where k.alias_of is not null
    order by 1) end
$$;
select grant_to_service('stored_task_types(text[])');

-- The types of the claimable tasks of all pools, at most so many, in their order. Each costs one look at the index, however many
-- tasks it has.
create or replace function first_types(p_most integer) returns text[]
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  return array(
    with recursive types (name, place) as (
      (select task_type, 1 from tasks where status = 'Queued' and gate = 'open' order by task_type limit 1)
      union all
      select (select task_type from tasks where status = 'Queued' and gate = 'open' and task_type > types.name
        order by task_type limit 1), place + 1 from types where types.name is not null and place < p_most)
    select name from types where name is not null);
end $$;
select grant_to_service('first_types(integer)');

-- The types of claimable tasks in one pool. Types beyond the first thousand that wait anywhere are not looked at.
create or replace function waiting_types(p_pool text) returns text[]
language sql stable security definer set search_path = public, pg_temp as $$
  select coalesce(array_agg(name order by name), '{}') from unnest(first_types(1000)) as t (name)
  where (select id from tasks where status = 'Queued' and gate = 'open' and task_type = name and pool || '' = p_pool
    order by priority desc, vtime, id limit 1) is not null
$$;
select grant_to_service('waiting_types(text)');

-- The first tasks in the line of a pool that a worker with these abilities may claim (null: any), and since when each waits: its
-- last change made it claimable.
create or replace function pool_line(p_pool text, p_types text[], p_most integer)
returns table (id uuid, since timestamptz)
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if p_types is null then
    return query
      select t.id, coalesce(t.updated_at, t.created_at) from tasks t
      where t.status = 'Queued' and t.gate = 'open' and t.pool = p_pool
      order by t.priority desc, t.vtime, t.id limit p_most;
    return;
  end if;
  return query
    select h.id, h.since from unnest(p_types) as k (name) cross join lateral (
      select t.id, t.priority, t.vtime, coalesce(t.updated_at, t.created_at) as since from tasks t
      where t.status = 'Queued' and t.gate = 'open' and t.task_type = k.name and t.pool || '' = p_pool
      order by t.priority desc, t.vtime, t.id limit p_most) as h
    order by h.priority desc, h.vtime, h.id limit p_most;
end $$;
select grant_to_service('pool_line(text, text[], integer)');

-- How many tasks of a pool a worker with these abilities may claim. Stops at ten thousand.
create or replace function count_line(p_pool text, p_types text[]) returns bigint
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  counted bigint;
begin
  if p_types is null then
    select count(*) into counted from (
      select from tasks where status = 'Queued' and gate = 'open' and pool = p_pool limit 10000) as head;
  else
    select count(*) into counted from (
      select from unnest(p_types) as k (name) cross join lateral (
        select from tasks where status = 'Queued' and gate = 'open' and task_type = k.name and pool || '' = p_pool
        order by priority desc, vtime, id limit 10000) as line
      limit 10000) as head;
  end if;
  return counted;
end $$;
select grant_to_service('count_line(text, text[])');

-- The types that the next worker of a pool can do: those that the newest one stated, if it was booked since the settings
-- changed and lives or is of the last day; else those of the launch profile (p_profile). Null: any.
create or replace function next_worker_types(p_pool text, p_profile text[]) returns text[]
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  newest record;
begin
  select w.task_types, w.task_types_at is not null and w.created_at > greatest(p.updated_at, p.environment_at)
    and (w.gone_at is null or w.created_at > now() - interval '1 day') as is_valid
  into newest from workers w join pools p on p.name = w.pool
  where w.pool = p_pool and w.origin = 'pool' and w.ready_at is not null order by w.ready_at desc limit 1;
  return case when newest.is_valid then newest.task_types else p_profile end;
end $$;
select grant_to_service('next_worker_types(text, text[])');

-- The types of claimable tasks that neither the next worker (p_next) nor a living one can do, with how many of them wait, up to
-- ten thousand each. Workers of other machines count while they are heard.
create or replace function types_without_worker(p_pool text, p_next text[]) returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  undone text[];
begin
  if p_next is not null and not exists (
    select from workers where pool = p_pool and gone_at is null and status in ('spawning', 'active') and origin <> 'job'
      and task_types is null and broken_at is null and (origin = 'pool' or last_heartbeat > now() - interval '5 minutes'))
  then
    undone := array(
      select name from unnest(waiting_types(p_pool)) as t (name) where name <> all (p_next) and not exists (
        select from workers
        where pool = p_pool and gone_at is null and status in ('spawning', 'active') and origin <> 'job'
          and name = any (task_types) and broken_at is null
          and (origin = 'pool' or last_heartbeat > now() - interval '5 minutes')));
  end if;
  return (select coalesce(jsonb_agg(jsonb_build_object('task_type', name, 'tasks', count_line(p_pool, array[name]))), '[]')
    from unnest(undone) as t (name));
end $$;
select grant_to_service('types_without_worker(text, text[])');

-- The idle workers that can do nothing of what is counted: claimable tasks that the next worker can do, which are of the types
-- p_counted.
create or replace function unfit_workers(p_pool text, p_counted text[]) returns text[]
language sql stable security definer set search_path = public, pg_temp as $$
  select array(
    select id from workers w
    where pool = p_pool and gone_at is null and status = 'active' and origin <> 'job' and task_types is not null
      and not task_types && p_counted
      and not exists (select from tasks where worker_id = w.id and lease_token is not null and lease_ended_at is null)
    order by id)
$$;
select grant_to_service('unfit_workers(text, text[])');

-- types_without_worker, for people.
create or replace function pool_undone(p_pool text) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  select types_without_worker(name, next_worker_types(name, task_types)) from pools where name = p_pool
$$;
select grant_to_service('pool_undone(text)');
