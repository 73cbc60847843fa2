-- How a worker gets a task.

-- The task that a worker holds, in the form in which a claim answers it; null: none.
create or replace function open_claim(p_worker_id text) returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  return (
    select jsonb_build_object('task_id', id, 'task_type', task_type, 'params', params, 'project_id', project_id,
      'attempt', leases, 'lease_token', lease_token)
    from tasks where worker_id = p_worker_id and lease_token is not null and lease_ended_at is null);
end $$;
select grant_to_service('open_claim(text)');

-- Answers a claim of a worker that holds a task already: it gets the same task again. A task that it can no longer do, and an
-- orchestrator task without sub-tasks, is handed back instead, and the answer is null. The caller has the worker's turn.
create or replace function resume_claim(p_held jsonb, p_types text[]) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  reason text := case
    when p_held ->> 'task_type' <> all (p_types) then 'its worker began anew and can no longer do tasks of this type'
    when p_held ->> 'task_type' like '%orchestrator%' and not exists (
      select from tasks where parent_id = (p_held ->> 'task_id')::uuid)
      then 'its worker claimed again before it had created a sub-task' end;
begin
  if reason is not null then
    perform close_attempt((p_held ->> 'task_id')::uuid, (p_held ->> 'attempt')::integer, 'released', reason,
      p_handed_back => true);
    return null;
  end if;
  return p_held;
end $$;
select grant_to_service('resume_claim(jsonb, text[])');

-- Leases a task to this worker: the first one in the line of its pool, or p_task_id, which the caller has locked. Answers
-- what a claim answers. Null: there is no task, or the worker gets none, because it holds one, is not active, reported itself
-- broken or is the pod of a job or a user's own machine, which api_claim_task serves. Then nothing is written and no row is
-- locked. The caller has the worker's turn, so that no other claim of the worker is under way. A worker that states what it
-- can do gets the first one only with p_straight, and only if it can do it; else that task stays locked until the transaction
-- ends. See lease_of_types.
--
-- The worker's row is locked in the statement that claims, after a task was found: a drain, which locks it FOR UPDATE, comes
-- before this claim or sees it.
create or replace function lease_next(p_worker_id text, p_task_id uuid default null, p_straight boolean default false)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  answer jsonb;
begin
  update tasks t
  set status = 'In Progress', worker_id = p_worker_id, attempts = attempts + 1, leases = leases + 1,
    lease_token = gen_random_uuid(), leased_at = now(), claimable_at = coalesce(updated_at, created_at),
    progress = null, progress_message = null, progress_at = null, reports_progress = true, generation_started_at = now(),
    updated_at = now(),
    -- A later text here is an error of this attempt, whatever its words.
    error_message = null, error_details = null
  where not exists (
      select from tasks where worker_id = p_worker_id and lease_token is not null and lease_ended_at is null)
    and id = coalesce(p_task_id, (
      select id from tasks
      where status = 'Queued' and gate = 'open' and pool = (
        select pool from workers
        where id = p_worker_id and status = 'active' and broken_at is null and origin <> 'job' and user_id is null
          and (task_types is null or p_straight))
      order by priority desc, vtime, id limit 1 for no key update skip locked))
    and exists (
      select from workers w
      where w.id = p_worker_id and w.status = 'active' and (w.pool = t.pool or p_task_id is not null)
        and (w.task_types is null or t.task_type = any (w.task_types)) for key share)
  returning jsonb_build_object('worker_status', 'active', 'task', jsonb_build_object('task_id', id, 'task_type', task_type,
    'params', params, 'project_id', project_id, 'attempt', leases, 'lease_token', lease_token)) into answer;
  return answer;
end $$;
select grant_to_service('lease_next(text, uuid, boolean)');

-- Leases to a worker that states what it can do the first such task in the line of its pool, without a look at any other task.
-- The heads of its types, and behind them the next tasks of the first ones, hold the first sixteen tasks of its own line; one of
-- these that another claim has locked is passed over. Null: there is none, or as of lease_next. The caller has the worker's turn.
--
-- gpu_pool.stated is a hint for the connection's next claim, and changes no answer. The worker's id: the first task of all was
-- one of its own, as where it can do everything, so lease_next is tried first, which costs half. With a hyphen: it was not.
-- A plan for each list of types would take more time than all the rest.
create or replace function lease_of_types(p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
  worker record;
  names text[];
  line uuid[];
  chosen uuid;
  kind text;
  is_first boolean;
  hint text;
begin
  select pool, task_types into worker from workers
  where id = p_worker_id and status = 'active' and broken_at is null and origin <> 'job' and user_id is null
    and task_types is not null;
  if not found then
    return null;
  end if;
  -- Few types wait at a time, and a worker knows many. Where many wait, those that it knows are looked for.
  names := first_types(50);
  if cardinality(names) = 50 then
    names := worker.task_types;
  end if;
  with heads as materialized (
    select h.*, h.task_type = any (worker.task_types) as is_own from unnest(names) as k (name) cross join lateral (
      select task_type, priority, vtime, id from tasks
      where status = 'Queued' and gate = 'open' and task_type = k.name and pool || '' = worker.pool
      order by priority desc, vtime, id limit 1) as h),
  own as materialized (select * from heads where is_own order by priority desc, vtime, id limit 16),
  first as (
    select t.* from own cross join lateral (
      select id, priority, vtime from tasks
      where status = 'Queued' and gate = 'open' and task_type = own.task_type and pool || '' = worker.pool
      order by priority desc, vtime, id limit 16) as t
    order by t.priority desc, t.vtime, t.id limit 16)
  select array(select id from first order by priority desc, vtime, id),
    array(select task_type from own order by priority desc, vtime, id),
    (select is_own from heads order by priority desc, vtime, id limit 1) into line, names, is_first;
  foreach chosen in array line loop
    select id into chosen from tasks where id = chosen and status = 'Queued' and gate = 'open' for no key update skip locked;
    exit when found;
  end loop;
  if chosen is null then
    -- More claims than that are under way.
    foreach kind in array names loop
      select id into chosen from tasks
      where status = 'Queued' and gate = 'open' and task_type = kind and pool || '' = worker.pool
      order by priority desc, vtime, id limit 1 for no key update skip locked;
      exit when found;
    end loop;
  end if;
  hint := case when is_first then p_worker_id else '-' || p_worker_id end;
  if hint is distinct from current_setting('gpu_pool.stated', true) then
    perform set_config('gpu_pool.stated', hint, false);
  end if;
  return case when chosen is not null then lease_next(p_worker_id, chosen) end;
end $$;
select grant_to_service('lease_of_types(text)');

-- Leases the next task that the worker can do. Null: there is none.
create or replace function lease_able(p_worker workers) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  return case when p_worker.task_types is null then lease_next(p_worker.id) else lease_of_types(p_worker.id) end -> 'task';
end $$;
select grant_to_service('lease_able(workers)');

-- Answers a claim for which lease_next found no task: with the worker's own task, with one of its types, or with one whose delay
-- is over. p_resumes: a task may be handed back, see resume_claim.
create or replace function claim_otherwise(p_worker_id text, p_resumes boolean default true) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  held jsonb;
  claimed jsonb;
  hint text;
begin
  select * into worker from workers where id = p_worker_id;
  -- A worker that reported itself broken gets no task, not even its own one. A pod of a job never has one.
  if worker.broken_at is null and worker.origin <> 'job' then
    held := open_claim(p_worker_id);
    claimed := held;
    if p_resumes and (worker.status = 'active' or held ->> 'task_type' <> all (worker.task_types)) then
      claimed := resume_claim(held, worker.task_types);
    end if;
    if claimed is null and worker.status = 'active' and (held is not null or worker.task_types is not null) then
      claimed := lease_able(worker);
    end if;
    -- An empty line is the time to look for tasks whose delay is over.
    while claimed is null and worker.status = 'active' and worker.user_id is null
      and open_delayed_tasks(worker.pool, p_worker_id => p_worker_id) <> '{}'
    loop
      claimed := lease_able(worker);
    end loop;
  end if;
  hint := case when claimed is not null then 'false' when worker.task_types is null then 'true' else 'types' end;
  if hint is distinct from current_setting('gpu_pool.found_none', true) then
    perform set_config('gpu_pool.found_none', hint, false);
  end if;
  return jsonb_build_object('worker_status', coalesce(worker.status, 'unknown'), 'task', claimed);
end $$;
select grant_to_service('claim_otherwise(text, boolean)');

-- Whether a claim of this worker would find nothing. Null: only the claim itself can say.
create or replace function finds_nothing(p_worker_id text) returns boolean
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  return (
    select not exists (
        select from tasks where worker_id = p_worker_id and lease_token is not null and lease_ended_at is null)
      and ((select id from tasks where status = 'Queued' and gate = 'open' and pool = w.pool
        order by priority desc, vtime, id limit 1) is null
        or not exists (
          select from unnest(w.task_types) as k (name) cross join lateral (
            select id from tasks
            where status = 'Queued' and gate = 'open' and task_type = k.name and pool || '' = w.pool
            order by priority desc, vtime, id limit 1) as head))
      and (select id from tasks where status = 'Queued' and gate = 'delayed' and pool = w.pool and delayed_until <= now()
        order by delayed_until limit 1) is null
    from workers w
    where w.id = p_worker_id and w.status = 'active' and w.broken_at is null and w.origin <> 'job' and w.task_types is not null);
end $$;
select grant_to_service('finds_nothing(text)');

-- Where the last claim of a connection found nothing, the next one only looks first, which costs a third of the attempt; where
-- it found a task, the look would cost a twentieth more. The setting is a hint: whatever its value, the answer is the same.
-- It is `types` where the last one was of a worker that states what it can do.
-- Functions are called by assignments here, because `perform` is a statement of its own, which costs three times the call.
create or replace function claim_task(p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  hint text := current_setting('gpu_pool.found_none', true);
  is_idle boolean;
  answer jsonb;
  no_value text;
begin
  -- As in require_worker, whose call would cost as much as half of this function's own conditions.
  if coalesce(nullif(current_setting('role', true), ''), 'none') not in ('service_role', 'none') then
    perform require_worker(p_worker_id);
  end if;
  if hint <> 'false' then
    if hint = 'types' then
      is_idle := finds_nothing(p_worker_id);
    else
      -- Without `order by … limit 1` Postgres may read the whole table.
      select not exists (
          select from tasks where worker_id = p_worker_id and lease_token is not null and lease_ended_at is null)
        and (select id from tasks where status = 'Queued' and gate = 'open' and pool = w.pool
          order by priority desc, vtime, id limit 1) is null
        and (select id from tasks where status = 'Queued' and gate = 'delayed' and pool = w.pool and delayed_until <= now()
          order by delayed_until limit 1) is null
      into is_idle from workers w
      where w.id = p_worker_id and w.status = 'active' and w.broken_at is null and w.origin <> 'job' and w.task_types is null;
    end if;
    if is_idle then
      return '{"worker_status": "active", "task": null}';
    end if;
  end if;
  no_value := pg_advisory_xact_lock(hashtextextended(p_worker_id, 1));
  if current_setting('gpu_pool.stated', true) = '-' || p_worker_id then
    answer := lease_of_types(p_worker_id);
  else
    answer := lease_next(p_worker_id, p_straight => current_setting('gpu_pool.stated', true) = p_worker_id);
  end if;
  if answer is null or hint is distinct from 'false' then
    if answer is null then
      return claim_otherwise(p_worker_id);
    end if;
    perform set_config('gpu_pool.found_none', 'false', false);
  end if;
  return answer;
end $$;
select grant_to_everyone('claim_task(text)');
