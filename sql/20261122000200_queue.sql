-- Consequences for waiting tasks when a task, a limit or a lease changes.

-- Workers of the old protocol also update this table directly. Then update_directly decides first. Our own functions alone
-- write the token, the end or the progress of an attempt; they set what this trigger sets. Any other write that ends a task,
-- gives it back or makes it wait for its sub-tasks also ends its lease.
create or replace function tasks_guard() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
  if current_user <> 'service_role' and (
    new.lease_token is distinct from old.lease_token or new.lease_ended_at is distinct from old.lease_ended_at
    or (new.progress_at is distinct from old.progress_at or new.reports_progress <> old.reports_progress)
      and new.status = old.status)
  then
    return new;
  end if;
  if current_user = 'service_role' then
    new := update_directly(old, new);
  end if;
  if new.status not in ('Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled')
    or new.gate not in ('open', 'held', 'blocked', 'delayed')
  then
    perform require_task_state(new.status::text, new.gate);
  end if;
  if new.result_data is distinct from old.result_data
    and (pg_column_size(new.result_data) > 1000 or length(new.result_data::text) > 1000)
  then
    perform require_fit_json('result_data', new.result_data);
  end if;
  if old.status in ('Complete', 'Failed', 'Cancelled') and new.status <> old.status
    and (old.status = 'Complete' or new.reopened_at is not distinct from old.reopened_at)
  then
    raise exception 'task % is % and stays so: it cannot become %', old.id, old.status, new.status
      using errcode = 'PT409';
  end if;
  new.updated_at := now();
  if new.status <> 'In Progress' then
    new.delegated_at := null;
    if new.status <> 'Queued' and old.status <> new.status then
      new.generation_processed_at := coalesce(new.generation_processed_at, now());
      -- Before the end of another row of this statement locks a project: see task_ended.
      if new.parent_id is not null and current_setting('gpu_pool.cascade', true) is distinct from 'on' then
        perform lock_parents(new.parent_id);
      end if;
    end if;
  end if;
  if old.lease_token is not null and old.lease_ended_at is null and (new.status <> 'In Progress' or new.delegated_at is not null)
  then
    if new.lease_token is not null then
      perform record_attempt(old, case new.status when 'In Progress' then 'delegated' when 'Complete' then 'completed'
          when 'Failed' then 'task_error' when 'Queued' then 'released' else 'cancelled' end,
        case when new.status not in ('In Progress', 'Complete') then format('the task was made %s', new.status) end);
    end if;
    new.lease_token := null;
    if new.status = 'Complete' then
      new.lease_ended_at := now();
    else
      new.leased_at := null;
    end if;
  end if;
  return new;
end $$;
select grant_to_service('tasks_guard()');
create or replace trigger tasks_guard before update on tasks for each row execute function tasks_guard();

-- Runs in the transaction that ends a task, gives it back or makes it wait for its sub-tasks. It opens or fails the tasks
-- that waited, gives the task's place in the limit to the next held task, and writes notifications. A claim leaves a token in
-- the row, and so does finish_task, which itself looks for what there is to do. A longer condition, which Postgres would parse
-- again in each statement, took more time than it saved.
create or replace function tasks_stopped() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  parent tasks;
begin
  if new.status = 'In Progress' and (new.delegated_at is null or old.delegated_at is not null)
    or new.status <> 'In Progress' and new.status = old.status
  then
    return null;
  end if;
  if new.status = 'In Progress' then
    if new.parent_id is not null then
      perform lock_parents(new.parent_id);
      select * into parent from tasks where id = new.parent_id and status in ('Failed', 'Cancelled');
      if found then
        -- It ended while this one could not be cancelled with it, see cancel_sub_tasks.
        update tasks set status = 'Cancelled', failed_by = parent.id,
          error_message = format('its orchestrator task %s is %s', parent.id, parent.status)
        where id = new.id;
        return null;
      end if;
    end if;
    if project_is_gated(new.project_id) then
      perform open_held_tasks(new.project_id);
    end if;
    perform fail_sub_tasks_behind(new.id);
    perform settle_parent(new.id);
    return null;
  end if;
  if new.status = 'Queued' then
    -- The present limit and pause count, not those of the first admission.
    if new.gate <> 'blocked' and project_is_gated(new.project_id) then
      update tasks set gate = 'held' where id = new.id and gate <> 'delayed';
      perform open_held_tasks(new.project_id);
    end if;
    return null;
  end if;
  if current_setting('gpu_pool.cascade', true) = 'on' then
    return null;
  end if;
  -- A held, blocked or delegated task had no place in the limit, and its end must not wait for its project's row.
  perform task_ended(new, old.gate = 'open' and old.delegated_at is null and project_is_gated(new.project_id));
  return null;
end $$;
select grant_to_service('tasks_stopped()');
create or replace trigger tasks_stopped after update on tasks for each row when (new.lease_token is null)
execute function tasks_stopped();

-- tasks_stopped never sees a task that is inserted with an end. Rows of the same statement may already wait for it.
create or replace function tasks_born_ended() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if exists (select from tasks where dependant_on = new.id and status = 'Queued' and gate = 'blocked') then
    perform settle_dependants(new.id, 'is ' || new.status);
  end if;
  if new.status = 'Failed' then
    perform notify_task_ended(new);
  end if;
  return null;
end $$;
select grant_to_service('tasks_born_ended()');
create or replace trigger tasks_born_ended after insert on tasks for each row
when (new.status <> 'Queued' and new.status <> 'In Progress')
execute function tasks_born_ended();

-- Applies a changed limit or pause to all waiting tasks of the project.
create or replace function projects_regate() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  -- Waits for transactions that read the old limit and pause and have not committed yet.
  perform pg_advisory_xact_lock(hashtextextended(new.id::text, 0)), nextval('admission_key');
  if new.paused or new.max_running is not null then
    update tasks set gate = 'held' where project_id = new.id and status = 'Queued' and gate = 'open';
    perform open_held_tasks(new.id);
  else
    update tasks set gate = 'open' where project_id = new.id and status = 'Queued' and gate = 'held';
  end if;
  return null;
end $$;
select grant_to_service('projects_regate()');
create or replace trigger projects_regate after update of max_running, paused on projects for each row
when (old.max_running is distinct from new.max_running or old.paused is distinct from new.paused)
execute function projects_regate();

-- Whether a failure that would be final is put back for another worker: its worker has failed three different tasks in a row, and
-- no other worker has failed this one, nor was it put back before.
create or replace function is_put_back(p_task tasks) returns boolean
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  last_success timestamptz;
begin
  if exists (
    select from ended_attempts
    where task_id = p_task.id and (put_back or cause = 'task_error' and worker_id <> p_task.worker_id))
  then
    return false;
  end if;
  select max(lease_ended_at) into last_success from tasks where worker_id = p_task.worker_id and lease_ended_at is not null;
  return (
    select count(*) >= 3 from (
      select distinct task_id from ended_attempts
      where worker_id = p_task.worker_id and cause = 'task_error' and ended_at > coalesce(last_success, '-infinity')
      limit 3) as failed);
end $$;
select grant_to_service('is_put_back(tasks)');

-- Ends a lease. What happens to its task depends on the cause: only task errors, stuck tasks and unexplained deaths of
-- workers count. A task that kills a second worker is poison and fails. p_handed_back: the worker itself gave the task back. A
-- final failure by a worker that fails one task after the other is put back once, uncounted, for another worker.
create or replace function close_attempt(
  p_task_id uuid, p_attempt integer, p_cause text, p_error text, p_permanent boolean default false,
  p_handed_back boolean default false)
returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  task tasks;
  counts boolean := p_cause in ('task_error', 'worker_died', 'stuck');
  killed integer;
begin
  select * into task from tasks
  where id = p_task_id and leases = p_attempt and lease_token is not null and lease_ended_at is null for no key update;
  if not found then
    return 'lease_lost';
  end if;
  perform record_attempt(task, p_cause, p_error);
  select count(distinct worker_id) into killed from ended_attempts where task_id = task.id and cause = 'worker_died';
  if p_permanent or (counts and task.attempts >= attempt_limit()) or killed >= 2 then
    if p_cause = 'task_error' and is_put_back(task) then
      update ended_attempts set put_back = true where task_id = task.id and attempt = p_attempt;
      update tasks
      set status = 'Queued', lease_token = null, leased_at = null, updated_at = now(), worker_id = null,
        generation_started_at = null, error_message = p_error, attempts = attempts - 1, gate = 'delayed', delayed_until = now()
      where id = task.id;
      insert into pool_events (pool, kind, reason, worker_id, task_id, details)
      values (task.pool, 'task.put_back', 'its worker fails one task after the other: another worker tries it', task.worker_id,
        task.id, jsonb_build_object('error', left(p_error, 500)));
      return 'requeued';
    end if;
    update tasks
    set status = 'Failed', lease_token = null, leased_at = null, generation_processed_at = now(), updated_at = now(),
      error_message = case when killed >= 2 and p_cause = 'worker_died'
        then format('poison: %s different workers died with this task; last: %s', killed, p_error) else p_error end
    where id = task.id;
    return 'failed';
  end if;
  if p_handed_back then
    task := handed_back(task);
  end if;
  update tasks
  set status = 'Queued', lease_token = null, leased_at = null, updated_at = now(), worker_id = null,
    generation_started_at = null, error_message = p_error,
    attempts = attempts - case when counts then 0 else 1 end, gate = task.gate, vtime = task.vtime,
    hand_backs = task.hand_backs, delayed_until = task.delayed_until
  where id = task.id;
  return 'requeued';
end $$;
select grant_to_service('close_attempt(uuid, integer, text, text, boolean, boolean)');
