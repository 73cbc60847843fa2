-- An orchestrator task writes its sub-tasks and waits for them. delegate_task does both in one transaction, under the lease.

-- Refuses a sub-task that cannot be written. The errors name its place in the list and its field.
create or replace function require_sub_task(p_parent uuid, p_place integer, p_task jsonb) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
  at text := format('p_sub_tasks[%s]', p_place);
  ref jsonb;
  unknown text;
begin
  if jsonb_typeof(p_task) <> 'object' then
    perform refuse_argument(at, 'an object is expected');
  end if;
  select key into unknown from jsonb_object_keys(p_task) as key
  where key not in ('id', 'task_type', 'params', 'dependant_on', 'after_siblings') limit 1;
  if unknown is not null then
    perform refuse_argument(at || '.' || unknown,
      'no field of a sub-task: those are id, task_type, params, dependant_on, after_siblings');
  end if;
  if coalesce(p_task ->> 'id', '') !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    perform refuse_argument(at || '.id', 'a UUID is expected');
  end if;
  if jsonb_typeof(p_task -> 'task_type') is distinct from 'string' or p_task ->> 'task_type' !~ '^[A-Za-z0-9_.-]{1,100}$' then
    perform refuse_argument(at || '.task_type', '1 to 100 letters, digits, dots, hyphens or underscores are expected');
  end if;
  if jsonb_typeof(p_task -> 'params') is distinct from 'object' then
    perform refuse_argument(at || '.params', 'an object is expected');
  end if;
  ref := p_task -> 'params' -> 'orchestrator_task_id_ref';
  if coalesce(ref, 'null') not in ('null', to_jsonb(p_parent)) then
    perform refuse_argument(at || '.params.orchestrator_task_id_ref', format('%s is expected, or nothing', p_parent));
  end if;
  if jsonb_typeof(coalesce(p_task -> 'after_siblings', 'false')) <> 'boolean' then
    perform refuse_argument(at || '.after_siblings', 'true or false is expected');
  end if;
  if (p_task ->> 'after_siblings')::boolean and p_task ->> 'dependant_on' is not null then
    perform refuse_argument(at || '.dependant_on', 'it waits for all its siblings; give one of dependant_on and after_siblings');
  end if;
end $$;
select grant_to_service('require_sub_task(uuid, integer, jsonb)');

-- Writes the sub-tasks of a task, in their order: its project, pool and priority are theirs. A row of the same parent that
-- exists stays as it is, so that a second run of an orchestrator task writes nothing twice.
create or replace function write_sub_tasks(p_parent tasks, p_sub_tasks jsonb) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  most constant integer := 1000;
  place integer;
  wrong record;
begin
  if jsonb_typeof(p_sub_tasks) <> 'array' then
    perform refuse_argument('p_sub_tasks', 'a list is expected');
  elsif jsonb_array_length(p_sub_tasks) > most then
    perform refuse_argument('p_sub_tasks',
      format('at most %s sub-tasks are expected, not %s', most, jsonb_array_length(p_sub_tasks)));
  end if;
  -- A limit of one JSON value is that of each sub-task.
  perform require_fit_json('p_sub_tasks', p_sub_tasks, greatest(1, least(64, jsonb_array_length(p_sub_tasks))));
  for place in 0 .. jsonb_array_length(p_sub_tasks) - 1 loop
    perform require_sub_task(p_parent.id, place, p_sub_tasks -> place);
  end loop;
  with given as (
    select s.ordinality - 1 as place, lower(s.value ->> 'id') as id, lower(s.value ->> 'dependant_on') as awaited,
      (s.value ->> 'after_siblings')::boolean as after_siblings
    from jsonb_array_elements(p_sub_tasks) with ordinality as s)
  select g.place, problem.field, problem.what into wrong from given g, lateral (
    select 'id' as field, format('%s is given twice', g.id) as what from given o where o.id = g.id and o.place < g.place
    union all
    select 'id', format('%s is taken by another task', g.id) from tasks t
    where t.id = g.id::uuid and t.parent_id is distinct from p_parent.id
    union all
    select 'after_siblings', 'another sub-task has it already' from given o
    where o.after_siblings and g.after_siblings and o.place < g.place
    union all
    select 'dependant_on', format('%s is no sub-task of task %s', left(g.awaited, 100), p_parent.id)
    where g.awaited is not null and not exists (select from given o where o.id = g.awaited)
      and not exists (select from tasks t where t.id::text = g.awaited and t.parent_id = p_parent.id)
  ) as problem order by g.place limit 1;
  if found then
    perform refuse_argument(format('p_sub_tasks[%s].%s', wrong.place, wrong.field), wrong.what);
  end if;
  insert into tasks (id, task_type, params, project_id, pool, priority, dependant_on, after_siblings)
  select (value ->> 'id')::uuid, value ->> 'task_type',
    value -> 'params' || jsonb_build_object('orchestrator_task_id_ref', p_parent.id),
    p_parent.project_id, p_parent.pool, p_parent.priority, (value ->> 'dependant_on')::uuid,
    coalesce((value ->> 'after_siblings')::boolean, false)
  from jsonb_array_elements(p_sub_tasks) with ordinality as s
  where not exists (select from tasks t where t.id = (value ->> 'id')::uuid)
  order by ordinality
  on conflict (id) do nothing;
  -- Another transaction may have taken an id meanwhile.
  select s.ordinality - 1 as place, value ->> 'id' as id into wrong
  from jsonb_array_elements(p_sub_tasks) with ordinality as s
  where not exists (select from tasks t where t.id = (value ->> 'id')::uuid and t.parent_id = p_parent.id)
  order by ordinality limit 1;
  if found then
    perform refuse_argument(format('p_sub_tasks[%s].id', wrong.place), format('%s is taken by another task', wrong.id));
  end if;
end $$;
select grant_to_service('write_sub_tasks(tasks, jsonb)');

-- From now on the task waits for its sub-tasks, and its worker is free. p_sub_tasks: those that are to be written first, each
-- {id, task_type, params, dependant_on?, after_siblings?}; one with after_siblings waits for all others. p_result_task_id names
-- the sub-task whose output becomes the output of the task; null: the last sub-task. Answers delegated, no_children (the lease
-- is kept) or lease_lost.
create or replace function delegate_task(
  p_task_id uuid, p_lease_token uuid, p_result_task_id uuid default null, p_sub_tasks jsonb default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := lock_lease(p_task_id, p_lease_token);
begin
  if lease.task_id is null or (lease.ended_at is not null and lease.cause <> 'delegated') then
    return jsonb_build_object('outcome', 'lease_lost');
  end if;
  if lease.ended_at is not null then
    return jsonb_build_object('outcome', 'delegated');
  end if;
  if p_sub_tasks is not null then
    perform write_sub_tasks(t, p_sub_tasks) from tasks t where id = p_task_id;
  end if;
  if not exists (select from tasks where parent_id = p_task_id) then
    return jsonb_build_object('outcome', 'no_children');
  end if;
  if p_result_task_id is not null and not exists (
    select from tasks where id = p_result_task_id and parent_id = p_task_id)
  then
    perform refuse_argument('p_result_task_id', format('%s is no sub-task of task %s', p_result_task_id, p_task_id));
  end if;
  update tasks
  set delegated_at = now(), worker_id = null, attempts = attempts - 1, result_data = case
    when p_result_task_id is null then result_data
    else coalesce(result_data, '{}') || jsonb_build_object('result_task_id', p_result_task_id) end
  where id = p_task_id;
  return jsonb_build_object('outcome', 'delegated');
end $$;
select grant_to_everyone('delegate_task(uuid, uuid, uuid, jsonb)');
