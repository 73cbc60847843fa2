-- Gates: which queued tasks may be claimed. Each write that changes a ground of a gate changes the gate with it.

alter table tasks
  add column if not exists hand_backs integer not null default 0,
  add column if not exists delayed_until timestamptz,
  add column if not exists after_siblings boolean not null default false;
comment on column tasks.hand_backs is 'How often in a row its workers have handed it back without progress.';
comment on column tasks.after_siblings is
  'It waits for all other sub-tasks of its orchestrator task. Only delegate_task sets it, for one sub-task at most.';
-- The end of a sub-task looks for the sibling that waits for all others.
create unique index if not exists tasks_after_siblings on tasks (parent_id) where after_siblings;
-- Tasks whose delay is over, for a claim that finds nothing else.
create index if not exists tasks_delayed on tasks (pool, delayed_until) where status = 'Queued' and gate = 'delayed';

-- True if the project has a limit or a pause, or if one is being changed; then a gate may only be decided with its row
-- locked. The answer false stays right until the transaction ends, because a change of limit or pause waits for it with the
-- project's row locked. So a transaction that was answered false must not wait for that row. One that was answered true is
-- always answered true; the setting remembers it, and whoever sets it gets the careful way, no other gate. Where the limit was
-- set between the two looks, the end of the subtransaction gives the lock back.
create or replace function project_is_gated(p_project uuid) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  gated boolean;
  noted text := coalesce(current_setting('gpu_pool.gated', true), '');
begin
  if noted <> '' and strpos(noted, p_project::text) > 0 then
    return true;
  end if;
  select paused or max_running is not null into gated from projects where id = p_project;
  if not gated and pg_try_advisory_xact_lock_shared(hashtextextended(p_project::text, 0)) then
    select paused or max_running is not null into gated from projects where id = p_project;
    if gated then
      raise exception using errcode = 'GP001';
    end if;
    return false;
  end if;
  noted := set_config('gpu_pool.gated', noted || coalesce(p_project::text, ''), true);
  return true;
exception
  when sqlstate 'GP001' then
    noted := set_config('gpu_pool.gated', noted || p_project, true);
    return true;
end $$;
select grant_to_service('project_is_gated(uuid)');

-- Opens as many held tasks of a project as its limit allows, and at most p_most. The lock on the project's row lets one
-- caller at a time do so. One that cannot be opened leaves its place to the next. Answers the ids of the opened tasks.
create or replace function open_held_tasks(p_project uuid, p_most bigint default null) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  project projects;
  room bigint;
  next uuid[];
  newly uuid[];
  opened uuid[] := '{}';
  refused uuid[] := '{}';
begin
  select * into project from projects where id = p_project for no key update;
  if project.paused then
    return '{}';
  end if;
  room := project.max_running
    - (select count(*) from tasks where project_id = p_project and status = 'In Progress' and delegated_at is null)
    - (select count(*) from tasks where project_id = p_project and status = 'Queued' and gate = 'open');
  loop
    next := array(
      select id from tasks
      where project_id = p_project and status = 'Queued' and gate = 'held' and id <> all (refused)
      order by priority desc, vtime, id
      limit least(case when project.max_running is not null then greatest(room, 0) end, p_most) - cardinality(opened)
      for update);
    newly := gate_together(next, 'open');
    opened := opened || newly;
    exit when cardinality(newly) = cardinality(next) or cardinality(refused) > 100;
    refused := refused || array(select unnest(next) except select unnest(newly));
  end loop;
  return opened;
end $$;
select grant_to_service('open_held_tasks(uuid, bigint)');

-- The place of a task that joins the line now. Start-time fair queuing: right behind the head of the line or behind its
-- project's last task, whichever is later. An empty line starts at the clock, which is later than any earlier place.
create or replace function next_place(p_pool text, p_priority integer, p_project uuid) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  line_now bigint;
  project_last record;
begin
  select line.* into project_last from unnest(array['open', 'held', 'blocked', 'delayed']) as g(gate), lateral (
    select t.pool, t.gate, t.vtime from tasks t
    where project_id = p_project and status = 'Queued' and t.gate = g.gate and priority = p_priority
    order by vtime desc limit 1
  ) as line order by line.vtime desc limit 1;
  -- If that task stands in this line, the head of the line is not behind it.
  if project_last.gate = 'open' and project_last.pool = p_pool then
    return project_last.vtime + 1;
  end if;
  select vtime into line_now from tasks
  where status = 'Queued' and gate = 'open' and pool = p_pool and priority = p_priority
  order by vtime limit 1;
  return greatest(
    coalesce(line_now, (extract(epoch from clock_timestamp()) * 1000000)::bigint), coalesce(project_last.vtime, 0)) + 1;
end $$;
select grant_to_service('next_place(text, integer, uuid)');

-- Opens the tasks that waited for this one, which is Complete, or fails them and answers those. p_how: "is Failed" or "was
-- deleted".
create or replace function settle_dependants(p_task_id uuid, p_how text) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  waiting_project uuid;
  gated boolean;
begin
  if p_how = 'was deleted' then
    -- A foreign key refuses the name of a deleted task in a row of the same transaction.
    update tasks set status = 'Failed', failed_by = p_task_id, dependant_on = null,
      error_message = format('depends on task %s, which %s', p_task_id, p_how)
    where dependant_on = p_task_id and status = 'Queued' and gate = 'blocked';
    return '{}';
  elsif p_how <> 'is Complete' then
    return end_together(
      array(select id from tasks where dependant_on = p_task_id and status = 'Queued' and gate = 'blocked' for no key update),
      'Failed', p_task_id, format('depends on task %s, which %s', p_task_id, p_how));
  end if;
  for waiting_project in
    select distinct project_id from tasks
    where dependant_on = p_task_id and status = 'Queued' and gate = 'blocked' and not after_siblings order by project_id
  loop
    gated := project_is_gated(waiting_project);
    perform gate_together(array(
      select id from tasks
      where dependant_on = p_task_id and status = 'Queued' and gate = 'blocked' and not after_siblings
        and project_id = waiting_project for no key update),
      case when gated then 'held' else 'open' end);
    if gated then
      perform open_held_tasks(waiting_project);
    end if;
  end loop;
  return '{}';
end $$;
select grant_to_service('settle_dependants(uuid, text)');

-- What a task waits for: the one that it depends on, as the last of its siblings all others, and as an orchestrator task that
-- waits for its sub-tasks each of them.
create or replace function awaited_by(p_task tasks) returns setof uuid
language sql stable security definer set search_path = public, pg_temp as $$
  select p_task.dependant_on where p_task.status = 'Queued' and p_task.dependant_on is not null
  union all
  select id from tasks
  where p_task.status = 'Queued' and p_task.after_siblings and parent_id = p_task.parent_id and id <> p_task.id
    and status in ('Queued', 'In Progress')
  union all
  select id from tasks
  where p_task.status = 'In Progress' and p_task.delegated_at is not null and parent_id = p_task.id
    and status in ('Queued', 'In Progress')
$$;
select grant_to_service('awaited_by(tasks)');

-- Refuses a task that would wait for itself, perhaps over other tasks, or for its own orchestrator task, which waits for it. A
-- change of dependant_on is checked when its statement has ended, so a statement may turn the order of its tasks around.
create or replace function refuse_circle(p_task tasks) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  waiting uuid[];
  awaited uuid[];
  -- The task itself, and what waits for it although it may not be written yet.
  ends uuid[] := array[p_task.id] || array(
    select id from tasks where id = p_task.parent_id and status = 'In Progress' and delegated_at is not null
    union all
    select id from tasks where parent_id = p_task.parent_id and after_siblings and status = 'Queued' and id <> p_task.id);
  circle uuid[];
begin
  if p_task.dependant_on = p_task.id then
    raise exception 'dependant_on: task % would wait for itself', p_task.id using errcode = 'PT400', detail = 'dependant_on';
  end if;
  -- A pair that was seen is not seen again, so this also ends where the way leads into an old circle of other tasks.
  with recursive way (waiting, awaited) as (
    select p_task.id, a.id from awaited_by(p_task) as a (id)
    union
    select t.id, a.id from way w join tasks t on t.id = w.awaited cross join lateral awaited_by(t) as a (id)
    where w.awaited <> all (ends)
  ) select array_agg(w.waiting), array_agg(w.awaited) into waiting, awaited from way w;
  select array[a] into circle from unnest(awaited) as a where a = any (ends) limit 1;
  if not found then
    return;
  end if;
  -- Back to the task, by the first pair that leads to each.
  while circle[1] <> p_task.id or cardinality(circle) = 1 loop
    circle := waiting[array_position(awaited, circle[1])] || circle;
  end loop;
  if circle[cardinality(circle)] = p_task.id then
    circle := circle[:cardinality(circle) - 1];
  end if;
  raise exception 'dependant_on: % tasks would wait for each other in a circle: %', cardinality(circle),
    array_to_string(circle[:10], ' waits for ') || case when cardinality(circle) > 10 then ' ...' else '' end
    using errcode = 'PT400', detail = 'dependant_on',
      hint = 'Each of them would wait for ever. Let one of them wait for none of the others.';
end $$;
select grant_to_service('refuse_circle(tasks)');

-- Fails the tasks below an orchestrator task that wait for it, because it waits for them from now on.
create or replace function fail_sub_tasks_behind(p_parent uuid) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  waiting uuid[];
begin
  with recursive behind (id) as (
    select p_parent
    union
    select w.id from behind b cross join lateral (
      select id from tasks where dependant_on = b.id and status = 'Queued' and gate = 'blocked'
      union all
      select other.id from tasks t join tasks other on other.parent_id = t.parent_id
      where t.id = b.id and other.after_siblings and other.status = 'Queued' and other.id <> t.id
      union all
      select parent.id from tasks t join tasks parent on parent.id = t.parent_id
      where t.id = b.id and t.parent_id <> p_parent and parent.status = 'In Progress' and parent.delegated_at is not null
    ) as w (id)
  ) select array_agg(id) into waiting from behind;
  if cardinality(waiting) = 1 then
    return;
  end if;
  with recursive below (id) as (
    select p_parent
    union
    select t.id from below b join tasks t on t.parent_id = b.id where t.status in ('Queued', 'In Progress')
  )
  select array(
    select id from tasks
    where id in (select id from below) and id = any (waiting) and dependant_on = any (waiting)
      and status = 'Queued' and gate = 'blocked' for no key update) into waiting;
  perform end_together(waiting, 'Failed', null,
    format('depends on its own orchestrator task %s, which waits for it', p_parent));
end $$;
select grant_to_service('fail_sub_tasks_behind(uuid)');

-- How long a task is delayed that its workers have handed back so often in a row without progress: once is free, as when
-- a worker is drained.
create or replace function hand_back_delay(p_hand_backs integer) returns interval
language sql immutable set search_path = public, pg_temp as $$
  select case when p_hand_backs < 2 then interval '0'
    else least(interval '5 seconds' * power(2, least(p_hand_backs - 2, 10)), interval '5 minutes') end
$$;
select grant_to_service('hand_back_delay(integer)');

-- A task whose worker hands it back now, with its new gate and place. Progress is a fraction above 0 that this attempt has
-- reported, or a sub-task that was created or has ended since the hand-back before. Without progress, an orchestrator
-- task lets the tasks that are queued now go first; from the second time in a row on, any task does, and is delayed.
create or replace function handed_back(p_task tasks) returns tasks
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  last_time timestamptz;
begin
  select max(ended_at) into last_time from ended_attempts
  where task_id = p_task.id and cause = 'released' and ended_at < now();
  p_task.delayed_until := null;
  if p_task.progress > 0 or exists (select from tasks where parent_id = p_task.id
    and greatest(created_at, generation_processed_at) > coalesce(last_time, '-infinity'))
  then
    p_task.hand_backs := 0;
    return p_task;
  end if;
  p_task.hand_backs := p_task.hand_backs + 1;
  if p_task.hand_backs > 1 then
    p_task.gate := 'delayed';
    p_task.delayed_until := clock_timestamp() + hand_back_delay(p_task.hand_backs);
  end if;
  if p_task.hand_backs > 1 or p_task.task_type like '%orchestrator%' then
    p_task.vtime := next_place(p_task.pool, p_task.priority, p_task.project_id);
  end if;
  return p_task;
end $$;
select grant_to_service('handed_back(tasks)');

-- How long a task waits for another worker than the one whose failure of it was put back.
create or replace function other_worker_wait() returns interval
language sql immutable set search_path = public, pg_temp as $$ select interval '10 minutes' $$;
select grant_to_service('other_worker_wait()');

-- The worker that may not have this task again yet; null: any may. p_leases: the number of its last attempt.
create or replace function waits_for_another(p_task_id uuid, p_leases integer) returns text
language sql stable security definer set search_path = public, pg_temp as $$
  select w.id from ended_attempts a join workers w on w.id = a.worker_id
  where a.task_id = p_task_id and a.attempt = p_leases and a.put_back and a.ended_at > now() - other_worker_wait()
    and w.gone_at is null and w.status = 'active'
$$;
select grant_to_service('waits_for_another(uuid, integer)');

-- Ends the delays that are over, in one pool or (null) in all. What another transaction has locked waits for the next
-- call, so that no caller waits here. Of the tasks that wait for another worker one is opened, for a claim of p_worker_id, which
-- is such a worker: the others would be the first one's again. Answers the ids.
create or replace function open_delayed_tasks(p_pool text, p_most integer default 100, p_worker_id text default null)
returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  due record;
  gated boolean;
  barred text;
  handed boolean := false;
  ended uuid[] := '{}';
begin
  for due in
    select id, project_id, leases from tasks
    where status = 'Queued' and gate = 'delayed' and delayed_until <= clock_timestamp() and pool = coalesce(p_pool, pool)
      and (waits_for_another(id, leases) is null or waits_for_another(id, leases) <> p_worker_id)
    order by delayed_until limit p_most for no key update skip locked
  loop
    barred := waits_for_another(due.id, due.leases);
    continue when barred is not null and handed;
    gated := project_is_gated(due.project_id);
    if gated then
      perform from projects where id = due.project_id for no key update skip locked;
      continue when not found;
    end if;
    begin
      update tasks set gate = case when gated then 'held' else 'open' end, delayed_until = null where id = due.id;
      if gated then
        perform open_held_tasks(due.project_id);
      end if;
      ended := ended || due.id;
      handed := handed or barred is not null;
    exception when others or assert_failure then
      perform set_row_aside(due.id::text, p_pool, 'a task whose delay is over cannot be opened', sqlstate, sqlerrm);
    end;
  end loop;
  return ended;
end $$;
select grant_to_service('open_delayed_tasks(text, integer, text)');
