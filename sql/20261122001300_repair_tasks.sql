-- Repairs of what no trigger saw: rows of an adopted database, and writes from before a trigger existed. A repair finds
-- nothing where the triggers did their work.

-- A task In Progress that no lease holds: after a minute it goes back to the queue, or waits for its sub-tasks if it has
-- any. A living worker of the old protocol may still be rendering a task from before the adoption, as long as it holds no
-- other one and the task's type is not stuck.
create or replace function release_unleased_tasks(p_most integer, out released uuid[], out delegated uuid[])
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  task tasks;
begin
  released := '{}';
  delegated := '{}';
  for task in
    select t.* from tasks t
    where t.status = 'In Progress' and t.delegated_at is null and t.updated_at < now() - interval '1 minute'
      and t.lease_token is null
      and not exists (
        select from workers w where w.id = t.worker_id and w.gone_at is null and w.last_heartbeat > now() - interval '5 minutes'
          and w.status in ('active', 'terminating')
          and not exists (select from open_leases where worker_id = w.id)
          and t.updated_at > now() - make_interval(
            secs => coalesce((select stuck_timeout_sec from task_types where name = t.task_type), 3600)))
    order by t.id limit p_most for no key update of t skip locked
  loop
    begin
      if exists (select from tasks where parent_id = task.id) then
        update tasks set delegated_at = now(), worker_id = null where id = task.id;
        delegated := delegated || task.id;
      else
        update tasks set status = 'Queued', worker_id = null, generation_started_at = null,
          error_message = 'no worker held it any more'
        where id = task.id;
        released := released || task.id;
      end if;
    exception when others or assert_failure then
      perform set_row_aside(task.id::text, task.pool, 'a task that no worker holds cannot be put back', sqlstate, sqlerrm);
    end;
  end loop;
end $$;
select grant_to_service('release_unleased_tasks(integer)');

-- Orchestrator tasks that wait for sub-tasks of which none is unfinished. Running tasks are few, so all are looked at.
create or replace function end_waiting_parents(p_most integer) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  parent uuid;
  ended uuid[] := '{}';
begin
  for parent in
    select id from tasks t
    where status = 'In Progress' and delegated_at is not null
      and not exists (select from tasks where parent_id = t.id and status in ('Queued', 'In Progress'))
    order by id limit p_most for no key update skip locked
  loop
    begin
      perform settle_parent(parent);
      ended := ended || parent;
    exception when others or assert_failure then
      perform set_row_aside(parent::text, null, 'an orchestrator task cannot be ended', sqlstate, sqlerrm);
    end;
  end loop;
  return ended;
end $$;
select grant_to_service('end_waiting_parents(integer)');

-- Running sub-tasks whose orchestrator task has ended: its end could not end them, because another transaction was writing them
-- for long. Running tasks are few, so all are looked at; a queued one is found once it is claimed.
create or replace function cancel_left_sub_tasks(p_most integer) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  task record;
  ended uuid[] := '{}';
begin
  for task in
    select t.id, p.id as parent, p.status as how from tasks t join tasks p on p.id = t.parent_id
    where t.status = 'In Progress' and p.status in ('Failed', 'Cancelled')
    order by t.id limit p_most for no key update of t skip locked
  loop
    ended := ended
      || end_together(array[task.id], 'Cancelled', task.parent, format('its orchestrator task %s is %s', task.parent, task.how));
  end loop;
  return ended;
end $$;
select grant_to_service('cancel_left_sub_tasks(integer)');

-- Held tasks of projects that have room, and tasks whose delay is over.
create or replace function open_forgotten_tasks(p_most integer) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  project uuid;
  opened uuid[] := open_delayed_tasks(null, p_most);
begin
  for project in
    select id from projects p
    where not paused and exists (select from tasks where project_id = p.id and status = 'Queued' and gate = 'held')
    order by id
  loop
    exit when cardinality(opened) >= p_most;
    begin
      opened := opened || open_held_tasks(project, p_most - cardinality(opened));
    exception when others or assert_failure then
      perform set_row_aside(project::text, null, 'the held tasks of a project cannot be opened', sqlstate, sqlerrm);
    end;
  end loop;
  return opened;
end $$;
select grant_to_service('open_forgotten_tasks(integer)');

-- Blocked tasks that wait for no unfinished task. Of a long queue, a call looks at ten thousand from a random place on.
create or replace function settle_waiting_tasks(p_most integer, out opened uuid[], out failed uuid[])
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  waiting record;
  start_at uuid := '00000000-0000-0000-0000-000000000000';
begin
  opened := '{}';
  failed := '{}';
  if (select count(*) from (select from tasks where status = 'Queued' and gate = 'blocked' limit 10001) as head) > 10000 then
    start_at := gen_random_uuid();
  end if;
  for waiting in
    select looked_at.id, looked_at.dependant_on, looked_at.project_id, before.status::text as awaited
    from (
      (select id, dependant_on, project_id from tasks
        where status = 'Queued' and gate = 'blocked' and not after_siblings and dependant_on >= start_at
        order by dependant_on limit 10000)
      union all
      (select id, dependant_on, project_id from tasks
        where status = 'Queued' and gate = 'blocked' and not after_siblings and dependant_on is null limit 10000)
    ) as looked_at
    left join tasks before on before.id = looked_at.dependant_on
    where before.id is null or before.id = looked_at.id or before.status in ('Complete', 'Failed', 'Cancelled')
    limit p_most
  loop
    perform from tasks where id = waiting.id and status = 'Queued' and gate = 'blocked'
      and dependant_on is not distinct from waiting.dependant_on
    for no key update skip locked;
    continue when not found;
    begin
      if waiting.dependant_on is null or waiting.awaited = 'Complete' then
        update tasks set gate = case when project_is_gated(project_id) then 'held' else 'open' end where id = waiting.id;
        if project_is_gated(waiting.project_id) then
          perform open_held_tasks(waiting.project_id);
        end if;
        opened := opened || waiting.id;
      else
        update tasks set status = 'Failed', failed_by = nullif(waiting.dependant_on, id),
          error_message = format('depends on task %s, which %s', waiting.dependant_on,
          case when waiting.dependant_on = id then 'is the task itself'
            else coalesce('is ' || waiting.awaited, 'is not there') end)
        where id = waiting.id;
        failed := failed || waiting.id;
      end if;
    exception when others or assert_failure then
      perform set_row_aside(waiting.id::text, null, 'a task that waits for nothing cannot be settled', sqlstate, sqlerrm);
    end;
  end loop;
end $$;
select grant_to_service('settle_waiting_tasks(integer)');

-- Sub-tasks that wait for their siblings, of which none is unfinished. Adds to the ids.
create or replace function settle_waiting_siblings(p_most integer, inout opened uuid[], inout failed uuid[])
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  waiting tasks;
begin
  for waiting in
    select * from tasks t
    where after_siblings and status = 'Queued' and gate = 'blocked'
      and (not exists (select from tasks where parent_id = t.parent_id and id <> t.id and status <> 'Complete')
        or exists (select from tasks where parent_id = t.parent_id and status in ('Failed', 'Cancelled')))
    limit p_most
  loop
    begin
      perform settle_parent(waiting.parent_id);
      select * into waiting from tasks where id = waiting.id;
      if waiting.status = 'Failed' then
        failed := failed || waiting.id;
      elsif waiting.gate <> 'blocked' then
        opened := opened || waiting.id;
      end if;
    exception when others or assert_failure then
      perform set_row_aside(waiting.id::text, null, 'a sub-task that waits for its siblings cannot be settled', sqlstate,
        sqlerrm);
    end;
  end loop;
end $$;
select grant_to_service('settle_waiting_siblings(integer, uuid[], uuid[])');

create or replace function note_repairs(p_task_ids uuid[], p_repair text) returns void
language sql security definer set search_path = public, pg_temp as $$
  insert into pool_events (pool, kind, reason, task_id)
  select pool, 'task.repaired', p_repair, id from tasks where id = any (p_task_ids) order by id
$$;
select grant_to_service('note_repairs(uuid[], text)');

-- Does every repair, for at most p_limit tasks of each kind. Answers the ids: {released, delegated, cancelled, parents_ended,
-- opened, failed}. p_dry_run: answers the same and changes nothing.
create or replace function repair_tasks(p_limit integer default 100, p_dry_run boolean default false) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  unleased record;
  waiting record;
  left_over uuid[];
  parents uuid[];
  opened uuid[];
begin
  if p_limit is null or p_limit not between 1 and 10000 then
    perform refuse_argument('p_limit', 'a whole number from 1 to 10000 is expected');
  end if;
  -- The inner block is undone by its error.
  begin
    left_over := cancel_left_sub_tasks(p_limit);
    select * into unleased from release_unleased_tasks(p_limit);
    parents := end_waiting_parents(p_limit);
    select * into waiting from settle_waiting_tasks(p_limit);
    select * into waiting from settle_waiting_siblings(p_limit, waiting.opened, waiting.failed);
    opened := open_forgotten_tasks(p_limit);
    perform note_repairs(unleased.released, 'it was In Progress and no worker held it: back to the queue');
    perform note_repairs(unleased.delegated, 'it was In Progress and no worker held it: waits for its sub-tasks');
    perform note_repairs(left_over, 'its orchestrator task had ended: cancelled');
    perform note_repairs(parents, 'none of its sub-tasks was unfinished: ended');
    perform note_repairs(waiting.opened || opened, 'nothing kept it from being claimed: opened');
    perform note_repairs(waiting.failed, 'what it waited for can never complete: failed');
    if p_dry_run then
      raise exception 'dry run' using errcode = 'GP000';
    end if;
  exception when sqlstate 'GP000' then null;
  end;
  return jsonb_build_object('released', unleased.released, 'delegated', unleased.delegated, 'cancelled', left_over,
    'parents_ended', parents, 'opened', waiting.opened || opened, 'failed', waiting.failed);
end $$;
select grant_to_service('repair_tasks(integer, boolean)');
