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

-- Answers a claim of a worker that holds a task already: it gets the same task again. An orchestrator task without
-- sub-tasks is handed back instead, and the answer is null. The caller has the worker's turn.
create or replace function resume_claim(p_held jsonb) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_held ->> 'task_type' like '%orchestrator%' and not exists (
    select from tasks where parent_id = (p_held ->> 'task_id')::uuid)
  then
    perform close_attempt((p_held ->> 'task_id')::uuid, (p_held ->> 'attempt')::integer, 'released',
      'its worker claimed again before it had created a sub-task', p_handed_back => true);
    return null;
  end if;
  return p_held;
end $$;
select grant_to_service('resume_claim(jsonb)');

-- Leases the first task in line to this worker: of its pool, or of the project p_project. Null: there is none, or the worker
-- gets none, because it holds one, is not active, reported itself broken or is the pod of a job. Then nothing is written and no
-- row is locked. The caller has the worker's turn, so that no other claim of the worker is under way.
--
-- The worker's row is locked in the statement that claims, after a task was found: a drain, which locks it FOR UPDATE, comes
-- before this claim or sees it.
create or replace function lease_next(p_worker_id text, p_project uuid default null) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  claimed jsonb;
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
    and id = case when p_project is null then (
      select id from tasks
      where status = 'Queued' and gate = 'open' and pool = (
        select pool from workers where id = p_worker_id and status = 'active' and broken_at is null and origin <> 'job')
      order by priority desc, vtime, id limit 1 for no key update skip locked)
    else (
      select id from tasks
      where status = 'Queued' and gate = 'open' and project_id = p_project
      order by priority desc, vtime, id limit 1 for no key update skip locked)
    end
    and exists (
      select from workers w
      where w.id = p_worker_id and w.status = 'active' and (w.pool = t.pool or p_project is not null) for key share)
  returning jsonb_build_object('task_id', id, 'task_type', task_type, 'params', params, 'project_id', project_id,
    'attempt', leases, 'lease_token', lease_token) into claimed;
  return claimed;
end $$;
select grant_to_service('lease_next(text, uuid)');

-- What a claim answers to a worker for which lease_next found no task: the worker's own task, or one whose delay was over.
-- p_resumes: an orchestrator task without sub-tasks may be handed back, see resume_claim.
create or replace function claim_otherwise(p_worker_id text, p_resumes boolean default true) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  held jsonb;
  claimed jsonb;
begin
  select * into worker from workers where id = p_worker_id;
  -- A worker that reported itself broken gets no task, not even its own one. A pod of a job never has one.
  if worker.broken_at is null and worker.origin <> 'job' then
    held := open_claim(p_worker_id);
    claimed := case when worker.status = 'active' and p_resumes then resume_claim(held) else held end;
    if claimed is null and held is not null then
      claimed := lease_next(p_worker_id);
    end if;
    -- An empty line is the time to look for tasks whose delay is over.
    while claimed is null and worker.status = 'active' and open_delayed_tasks(worker.pool) <> '{}' loop
      claimed := lease_next(p_worker_id);
    end loop;
  end if;
  return jsonb_build_object('worker_status', coalesce(worker.status, 'unknown'), 'task', claimed);
end $$;
select grant_to_service('claim_otherwise(text, boolean)');

-- Where the last claim of a connection found nothing, the next one only looks first, which costs a third of the attempt; where
-- it found a task, the look would cost a twentieth more. The setting is a hint: whatever its value, the answer is the same.
create or replace function claim_task(p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  hint boolean := current_setting('gpu_pool.found_none', true) = 'true';
  found_status text;
  is_idle boolean := false;
  claimed jsonb;
begin
  perform require_worker(p_worker_id);
  if hint then
    select w.status, w.broken_at is null and w.origin <> 'job' and w.status = 'active'
      and (select id from tasks
        where worker_id = p_worker_id and lease_token is not null and lease_ended_at is null limit 1) is null
      and (select id from tasks where status = 'Queued' and gate = 'open' and pool = w.pool
        order by priority desc, vtime, id limit 1) is null
      and (select id from tasks where status = 'Queued' and gate = 'delayed' and delayed_until <= clock_timestamp()
        and pool = w.pool order by delayed_until limit 1) is null
    into found_status, is_idle from workers w where w.id = p_worker_id;
    if is_idle then
      return jsonb_build_object('worker_status', found_status, 'task', null);
    end if;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(p_worker_id, 1));
  claimed := lease_next(p_worker_id);
  if hint is distinct from (claimed is null) then
    perform set_config('gpu_pool.found_none', (claimed is null)::text, false);
  end if;
  if claimed is null then
    return claim_otherwise(p_worker_id);
  end if;
  return jsonb_build_object('worker_status', 'active', 'task', claimed);
end $$;
select grant_to_everyone('claim_task(text)');
