-- Workers that fail every task: what the observation knows of them, and how the tasks that they failed come back (service
-- role only).

-- The workers of a pool that failed at least p_min_tasks different tasks within p_window_min minutes and completed none
-- in between: {<worker>: {tasks, since_ms, others_completed_ms}}. others_completed_ms is when another worker of the pool
-- last completed a task of one of these types, at the earliest p_proof_min minutes ago, or since the run began; null: none
-- did among the last 5,000 completions of the pool, each worker having its share. A task that was put back once is no
-- evidence, because its second failure is the task's own.
create or replace function failed_runs(
  p_pool text, p_min_tasks integer, p_window_min numeric, p_proof_min numeric) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  with latest as materialized (
    select a.worker_id, a.task_id, a.ended_at from ended_attempts a
    where a.cause in ('task_error', 'stuck') and a.ended_at > now() - make_interval(secs => p_window_min * 60)
  ),
  suspects as materialized (
    select w.id, (
      select max(c.lease_ended_at) from tasks c
      where c.worker_id = w.id and c.lease_ended_at > now() - make_interval(secs => p_window_min * 60)
    ) as completed_at
    from (select worker_id from latest group by worker_id having count(distinct task_id) >= p_min_tasks) as s
    join workers w on w.id = s.worker_id
    where w.pool = p_pool and w.gone_at is null and w.status in ('active', 'terminating')
  ),
  failed as materialized (
    select s.id, count(distinct l.task_id) as tasks, min(l.ended_at) as since, array_agg(distinct t.task_type) as types
    from suspects s join latest l on l.worker_id = s.id join tasks t on t.id = l.task_id
    where t.reopened_at is null and l.ended_at > coalesce(s.completed_at, '-infinity')
    group by s.id having count(distinct l.task_id) >= p_min_tasks
  ),
  proven as materialized (
    select least(min(since), now() - make_interval(secs => p_proof_min * 60)) as from_at from failed having count(*) > 0
  ),
  others as materialized (
    select w.id, 5000 / count(*) over () + 5 as share from proven cross join lateral (
      select id from workers where pool = p_pool and gone_at is null
      union all
      select id from workers where pool = p_pool and origin = 'pool' and gone_at > proven.from_at) as w
  ),
  -- Two workers for each type are enough, because one of them is not the suspect. Without a suspect nothing is read.
  completions as materialized (
    select task_type, worker_id, at from (
      select c.task_type, c.worker_id, max(c.lease_ended_at) as at,
        row_number() over (partition by c.task_type order by max(c.lease_ended_at) desc) as place
      from proven cross join others w cross join lateral (
        select task_type, worker_id, lease_ended_at from tasks
        where worker_id = w.id and lease_ended_at > proven.from_at
        order by lease_ended_at desc limit w.share) as c
      group by c.task_type, c.worker_id) as ranked
    where place <= 2
  )
  select coalesce(jsonb_object_agg(f.id, jsonb_build_object('tasks', f.tasks,
    'since_ms', floor(extract(epoch from f.since) * 1000),
    'others_completed_ms', (
      select to_ms(max(c.at)) from completions c where c.task_type = any (f.types) and c.worker_id <> f.id))), '{}')
  from failed f
$$;
select grant_to_service('failed_runs(text, integer, numeric, numeric)');

create or replace function has_completed_since(p_worker_id text, p_since_ms bigint) returns boolean
language sql stable security definer set search_path = public, pg_temp as $$
  select exists (select from tasks
    where worker_id = p_worker_id and lease_ended_at >= to_timestamp(p_since_ms / 1000.0))
$$;
select grant_to_service('has_completed_since(text, bigint)');

-- All tasks that these ones have failed or cancelled by their own end, directly or not, and these ones themselves.
create or replace function failed_together(p_ids uuid[]) returns uuid[]
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  found_ids uuid[] := p_ids;
  newest uuid[] := p_ids;
begin
  while cardinality(newest) > 0 loop
    select coalesce(array_agg(distinct t.id), '{}') into newest from (
      select id, failed_by from tasks where dependant_on = any (newest) and status in ('Failed', 'Cancelled')
      union all
      select id, failed_by from tasks where parent_id = any (newest) and status in ('Failed', 'Cancelled')
      union all
      select s.id, s.failed_by from tasks c join tasks s on s.parent_id = c.parent_id and s.after_siblings
      where c.id = any (newest) and s.status in ('Failed', 'Cancelled')
      union all
      select p.id, p.failed_by from tasks c join tasks p on p.id = c.parent_id
      where c.id = any (newest) and p.status in ('Failed', 'Cancelled')) as t
    where t.failed_by = any (newest) and t.id <> all (found_ids);
    found_ids := found_ids || newest;
  end loop;
  return found_ids;
end $$;
select grant_to_service('failed_together(uuid[])');

-- Puts failed tasks back, with everything that their failing failed: the tasks that waited for them, their orchestrator
-- tasks, and the sub-tasks of those. Each change is journaled, and each task that was Failed is notified. A task whose
-- orchestrator task has ended for another reason stays as it is. Answers the ids of all tasks that were put back.
create or replace function reopen_tasks(p_ids uuid[], p_reason text, p_worker_id text default null) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  roots uuid[];
  everything uuid[];
  task tasks;
begin
  perform from tasks where id = any (failed_together(p_ids)) order by id for no key update;
  select array_agg(id) into roots from tasks where id = any (p_ids) and status = 'Failed';
  loop
    everything := failed_together(coalesce(roots, '{}'));
    exit when not exists (
      select from tasks t join tasks p on p.id = t.parent_id
      where t.id = any (roots) and p.status in ('Failed', 'Cancelled') and p.id <> all (everything));
    select array_agg(t.id) into roots from tasks t left join tasks p on p.id = t.parent_id
    where t.id = any (roots) and (p.id is null or p.status not in ('Failed', 'Cancelled') or p.id = any (everything));
  end loop;
  for task in select * from tasks where id = any (everything) order by id loop
    insert into pool_events (pool, kind, reason, worker_id, task_id, details)
    values (task.pool, 'task.reopened', p_reason, p_worker_id, task.id,
      jsonb_strip_nulls(jsonb_build_object('status', task.status, 'error', left(task.error_message, 500),
        'failed_by', task.failed_by)));
    if task.status = 'Failed' then
      perform notify_endpoints('task.reopened', task.project_id, task.pool, jsonb_build_object(
        'task_id', task.id, 'project_id', task.project_id, 'reason', p_reason, 'error', left(task.error_message, 2000)));
    end if;
  end loop;
  -- Sub-tasks first: an orchestrator task that waits again ends at once if it finds no unfinished one.
  update tasks t
  set status = 'Queued', reopened_at = clock_timestamp(), failed_by = null, worker_id = null,
    generation_started_at = null, generation_processed_at = null,
    error_message = case when t.id = any (roots) then left(format('%s; its error was: %s', p_reason, t.error_message), 4000) end,
    error_details = null, hand_backs = 0, delayed_until = null,
    -- A claim counted the attempt that was cancelled with its orchestrator task.
    attempts = greatest(0, t.attempts - case when t.status = 'Cancelled' and 'cancelled' = (
      select cause from ended_attempts where task_id = t.id order by attempt desc limit 1) then 1 else 0 end),
    -- A task that was cancelled when it was inserted has no place in line yet.
    vtime = case when vtime = 0 then (extract(epoch from t.created_at) * 1000000)::bigint else vtime end,
    gate = case when exists (select from tasks d where d.id = t.dependant_on and d.status <> 'Complete')
      or t.after_siblings
        and exists (select from tasks d where d.parent_id = t.parent_id and d.id <> t.id and d.status <> 'Complete')
      then 'blocked' else 'open' end
  where t.id = any (everything) and not exists (select from tasks c where c.id = t.failed_by and c.parent_id = t.id);
  update tasks t
  set status = 'In Progress', delegated_at = now(), reopened_at = clock_timestamp(), failed_by = null, worker_id = null,
    generation_processed_at = null, error_message = null
  where t.id = any (everything) and exists (select from tasks c where c.id = t.failed_by and c.parent_id = t.id);
  return everything;
end $$;
select grant_to_service('reopen_tasks(uuid[], text, text)');

-- An operator's retry: a failed task comes back with everything that its failing failed, and none of its attempts counts.
-- Answers {outcome, status, because, reopened}. Outcomes: reopened; unknown; not_failed; caused: the task in `because` failed
-- this one, so that one must be retried; parent_ended: its orchestrator task, in `because`, has ended for another reason.
create or replace function retry_task(p_id uuid, p_reason text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  task tasks;
  cause uuid;
  reopened uuid[];
begin
  select * into task from tasks where id = p_id;
  if task.id is null then
    return jsonb_build_object('outcome', 'unknown', 'status', null, 'because', null, 'reopened', 0);
  end if;
  select id into cause from tasks where id = task.failed_by and status in ('Failed', 'Cancelled');
  if task.status = 'Failed' and cause is not null then
    return jsonb_build_object('outcome', 'caused', 'status', task.status, 'because', cause, 'reopened', 0);
  end if;
  reopened := reopen_tasks(array[p_id], p_reason);
  if p_id <> all (reopened) or cardinality(reopened) = 0 then
    select * into task from tasks where id = p_id;
    return jsonb_build_object('outcome', case when task.status = 'Failed' then 'parent_ended' else 'not_failed' end,
      'status', task.status, 'because', case when task.status = 'Failed' then task.parent_id end, 'reopened', 0);
  end if;
  update tasks set attempts = 0 where id = p_id returning * into task;
  return jsonb_build_object('outcome', 'reopened', 'status', task.status, 'because', null,
    'reopened', cardinality(reopened));
end $$;
select grant_to_service('retry_task(uuid, text)');

-- Takes these failures of a sick worker back: they no longer count, and tasks that ended by them come back. This happens once to
-- a task, so what a second worker says is final. A task that another worker failed later keeps that end. Answers {tasks,
-- reopened}, two numbers.
create or replace function take_back_failures(p_worker_id text, p_since timestamptz, p_task_ids uuid[]) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  uncounted uuid[];
  reopened uuid[] := '{}';
begin
  perform from tasks where id = any (p_task_ids) order by id for no key update;
  with runs as (
    select task_id, count(*) filter (where not put_back) as attempts, max(attempt) as last from ended_attempts
    where worker_id = p_worker_id and cause in ('task_error', 'stuck') and ended_at >= p_since and task_id = any (p_task_ids)
    group by task_id
  ),
  taken_back as (
    update tasks t set attempts = greatest(0, t.attempts - r.attempts),
      reopened_at = case when t.status = 'Failed' then null else clock_timestamp() end
    from runs r
    where t.id = r.task_id and t.reopened_at is null and (t.status in ('Queued', 'In Progress')
      or t.status = 'Failed' and t.failed_by is null and t.leases = r.last)
    returning t.id, t.status
  )
  select coalesce(array_agg(id), '{}'), coalesce(array_agg(id) filter (where status = 'Failed'), '{}')
  into uncounted, reopened from taken_back;
  reopened := reopen_tasks(reopened, format('put back: worker %s was sick', p_worker_id), p_worker_id);
  return jsonb_build_object('tasks', cardinality(uncounted), 'reopened', cardinality(reopened));
end $$;
select grant_to_service('take_back_failures(text, timestamptz, uuid[])');

-- Takes back what a sick worker failed since the beginning of its run. The caller has locked and ended the worker, whose end must
-- not wait for a task that cannot come back. Answers {tasks, reopened}, two numbers.
create or replace function put_back_failures(p_worker_id text, p_since_ms bigint) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  since timestamptz := to_timestamp(p_since_ms / 1000.0);
  failed uuid[];
  one uuid;
  part jsonb;
  taken integer := 0;
  reopened integer := 0;
begin
  -- In the order of their failures: a sub-task that failed later comes back only after the one that failed its orchestrator task.
  select coalesce(array_agg(task_id order by last), '{}') into failed from (
    select task_id, max(ended_at) as last from ended_attempts
    where worker_id = p_worker_id and cause in ('task_error', 'stuck') and ended_at >= since group by task_id) as f;
  begin
    part := take_back_failures(p_worker_id, since, failed);
    taken := (part ->> 'tasks')::integer;
    reopened := (part ->> 'reopened')::integer;
  exception when others or assert_failure then
    if not is_refusal(sqlstate) then
      raise;
    end if;
    foreach one in array failed loop
      begin
        part := take_back_failures(p_worker_id, since, array[one]);
        taken := taken + (part ->> 'tasks')::integer;
        reopened := reopened + (part ->> 'reopened')::integer;
      exception when others or assert_failure then
        perform set_row_aside(one::text, null, 'the failure of a sick worker cannot be taken back', sqlstate, sqlerrm);
      end;
    end loop;
  end;
  -- Those that waited for another worker than this one.
  perform open_delayed_tasks((select pool from workers where id = p_worker_id));
  return jsonb_build_object('tasks', taken, 'reopened', reopened);
end $$;
select grant_to_service('put_back_failures(text, bigint)');
