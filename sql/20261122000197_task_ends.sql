-- The end of a task ends or opens the tasks that hang on it.

-- Opens the sub-task that waits for all its siblings if they are complete, or fails it and answers it. The caller has locked the
-- parent. A row that another transaction is writing is skipped, as in cancel_sub_tasks: that transaction may wait for the parent.
create or replace function settle_last_sibling(p_parent uuid) returns uuid
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  waiting tasks;
  sibling tasks;
begin
  select * into waiting from tasks
  where parent_id = p_parent and after_siblings and status = 'Queued' and gate = 'blocked' for no key update skip locked;
  if not found then
    return null;
  end if;
  select * into sibling from tasks where parent_id = p_parent and id <> waiting.id and status <> 'Complete'
  order by status in ('Failed', 'Cancelled') desc, generation_processed_at, vtime limit 1;
  if not found then
    update tasks set gate = case when project_is_gated(waiting.project_id) then 'held' else 'open' end where id = waiting.id;
    if project_is_gated(waiting.project_id) then
      perform open_held_tasks(waiting.project_id);
    end if;
  elsif sibling.status in ('Failed', 'Cancelled') then
    update tasks set status = 'Failed', failed_by = sibling.id,
      error_message = format('depends on task %s, which is %s', sibling.id, sibling.status)
    where id = waiting.id;
    return waiting.id;
  end if;
  return null;
end $$;
select grant_to_service('settle_last_sibling(uuid)');

-- Ends a delegated parent when all its sub-tasks have ended. The parent is locked before its sub-tasks are read, so of
-- two transactions that end at once, the later one sees both. Answers what it ended.
create or replace function settle_parent(p_parent uuid) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  parent tasks;
  child tasks;
  sibling uuid;
begin
  select * into parent from tasks where id = p_parent for no key update;
  if exists (select from tasks where parent_id = p_parent and after_siblings and status = 'Queued' and gate = 'blocked') then
    sibling := settle_last_sibling(p_parent);
    select * into parent from tasks where id = p_parent;
  end if;
  if parent.status is distinct from 'In Progress' or parent.delegated_at is null or exists (
    select from tasks where parent_id = p_parent and status in ('Queued', 'In Progress'))
  then
    return array_remove(array[sibling], null);
  end if;
  select * into child from tasks
  where parent_id = p_parent and status in ('Failed', 'Cancelled')
  order by generation_processed_at, failed_by is not null, vtime limit 1;
  if found then
    update tasks set status = 'Failed', failed_by = child.id, error_message = format('sub-task %s (%s) is %s: %s',
      child.id, child.task_type, child.status, coalesce(child.error_message, 'no error given'))
    where id = p_parent;
    return array_remove(array[sibling, p_parent], null);
  end if;
  -- The parent gets the result of the sub-task that it named, or else of the last one that no other sub-task waits for.
  select * into child from tasks c
  where parent_id = p_parent
  order by id::text = parent.result_data ->> 'result_task_id' desc nulls last,
    exists (select from tasks d where d.dependant_on = c.id and d.parent_id = p_parent), created_at desc, vtime desc
  limit 1;
  if found then
    update tasks set status = 'Complete', output_location = child.output_location, error_message = null,
      generation_created = true, result_data = case
        when json_problem(coalesce(child.result_data, '{}') || coalesce(parent.result_data, '{}')) is null
        then coalesce(child.result_data, '{}') || coalesce(parent.result_data, '{}') else '{}' end
        || jsonb_build_object('result_task_id', child.id)
    where id = p_parent;
  else
    update tasks set status = 'Failed', error_message = 'all its sub-tasks were deleted, so it has no result'
    where id = p_parent;
  end if;
  return array_remove(array[sibling, p_parent], null);
end $$;
select grant_to_service('settle_parent(uuid)');

-- Locks the orchestrator task of a task, and those above that. Whatever ends an orchestrator task locks its row before its
-- project's, so the end of a sub-task does too.
create or replace function lock_parents(p_parent uuid) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  above uuid;
begin
  for above in
    with recursive chain (id) as (
      select p_parent union select t.parent_id from chain join tasks t on t.id = chain.id where t.parent_id is not null
    ) select id from chain
  loop
    perform from tasks where id = above for no key update;
  end loop;
end $$;
select grant_to_service('lock_parents(uuid)');

-- Cancels the unfinished sub-tasks of an ended orchestrator task, and answers them. A sub-task that another transaction is
-- writing is looked at again within a second: a claim or a report of progress has ended by then. A transaction that waits for
-- this one, because it wants the orchestrator task's row, must not be waited for: it ends the sub-task, or finds in tasks_stopped
-- that the orchestrator task has ended. The janitor cancels what is still left (cancel_left_sub_tasks). The project's row is
-- locked first, as everywhere where held tasks are opened.
create or replace function cancel_sub_tasks(p_parent uuid, p_project uuid, p_how text) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  looks constant integer := 50;
  looked_at uuid[] := '{}';
  next uuid[];
  left_over bigint;
  cancelled uuid[] := '{}';
begin
  if project_is_gated(p_project) then
    perform from projects where id = p_project for no key update;
  end if;
  for look in 1 .. looks loop
    next := array(
      select id from tasks where parent_id = p_parent and status in ('Queued', 'In Progress') and id <> all (looked_at)
      for no key update skip locked);
    looked_at := looked_at || next;
    cancelled := cancelled
      || end_together(next, 'Cancelled', p_parent, format('its orchestrator task %s %s', p_parent, p_how));
    select count(*) into left_over from tasks
    where parent_id = p_parent and status in ('Queued', 'In Progress') and id <> all (looked_at);
    exit when left_over = 0 or left_over <= (
      select count(*) from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid)));
    perform pg_sleep(0.02);
  end loop;
  return cancelled;
end $$;
select grant_to_service('cancel_sub_tasks(uuid, uuid, text)');

-- Does the work that the end of a task requires, and that of the tasks which end with it, all in this transaction: those that
-- wait for it, its sub-tasks, its orchestrator task, and so on. A loop, because a trigger that calls itself for each of them
-- exhausts the stack. p_opens_held: its place in its project's limit is free now. The setting tells tasks_stopped that the loop
-- goes on; the janitor repairs what a wrong setting leaves undone.
create or replace function task_ended(p_task tasks, p_opens_held boolean) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  ended uuid[] := array[p_task.id];
  next uuid[];
  opens uuid[] := case when p_opens_held then array[p_task.project_id] else '{}' end;
  one record;
  outer_loop text := coalesce(current_setting('gpu_pool.cascade', true), '');
  no_value text := set_config('gpu_pool.cascade', 'on', true);
begin
  while cardinality(ended) > 0 loop
    next := '{}';
    for one in select distinct parent_id as id from tasks where id = any (ended) and parent_id is not null order by 1 loop
      perform lock_parents(one.id);
    end loop;
    -- Each look is at one index entry: a join might read all tasks that wait for others.
    for one in
      select t.id, t.project_id, t.status::text as status,
        (select d.id from tasks d where d.dependant_on = t.id and d.status = 'Queued' and d.gate = 'blocked' limit 1) is not null
          as is_awaited,
        t.status <> 'Complete' and (
          select c.id from tasks c where c.parent_id = t.id and c.status in ('Queued', 'In Progress') limit 1) is not null
          as has_sub_tasks
      from unnest(ended) as e (id) cross join lateral (select * from tasks where tasks.id = e.id limit 1) as t
    loop
      if one.is_awaited then
        next := next || settle_dependants(one.id, 'is ' || one.status);
      end if;
      if one.has_sub_tasks then
        next := next || cancel_sub_tasks(one.id, one.project_id, 'is ' || one.status);
        if project_is_gated(one.project_id) then
          opens := opens || one.project_id;
        end if;
      end if;
    end loop;
    for one in select distinct id from unnest(opens) as p (id) order by id loop
      perform open_held_tasks(one.id);
    end loop;
    opens := '{}';
    for one in select distinct parent_id as id from tasks where id = any (ended) and parent_id is not null order by 1 loop
      begin
        next := next || settle_parent(one.id);
      exception when others or assert_failure then
        -- The end of a sub-task does not wait for it. The janitor tries it again.
        perform set_row_aside(one.id::text, null, 'an orchestrator task cannot be settled', sqlstate, sqlerrm);
      end;
    end loop;
    if exists (select from notification_endpoints where enabled) then
      perform notify_task_ended(t) from tasks t where id = any (ended) and status in ('Complete', 'Failed');
    end if;
    ended := next;
  end loop;
  no_value := set_config('gpu_pool.cascade', outer_loop, true);
end $$;
select grant_to_service('task_ended(tasks, boolean)');
