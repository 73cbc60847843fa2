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

-- Leases a task to this worker: the first one in the line of its pool, or p_task_id, which the caller has locked. Answers what a
-- claim answers. Null: there is no task, or the worker gets none, because it holds one, is not active, reported itself broken or
-- is the pod of a job. Then nothing is written and no row is locked. The caller has the worker's turn, so that no other claim of
-- the worker is under way.
--
-- The worker's row is locked in the statement that claims, after a task was found: a drain, which locks it FOR UPDATE, comes
-- before this claim or sees it.
create or replace function lease_next(p_worker_id text, p_task_id uuid default null) returns jsonb
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
        select pool from workers where id = p_worker_id and status = 'active' and broken_at is null and origin <> 'job')
      order by priority desc, vtime, id limit 1 for no key update skip locked))
    and exists (
      select from workers w
      where w.id = p_worker_id and w.status = 'active' and (w.pool = t.pool or p_task_id is not null) for key share)
  returning jsonb_build_object('worker_status', 'active', 'task', jsonb_build_object('task_id', id, 'task_type', task_type,
    'params', params, 'project_id', project_id, 'attempt', leases, 'lease_token', lease_token)) into answer;
  return answer;
end $$;
select grant_to_service('lease_next(text, uuid)');

-- Answers a claim for which lease_next found no task: with the worker's own task, or with one whose delay is over.
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
      claimed := lease_next(p_worker_id) -> 'task';
    end if;
    -- An empty line is the time to look for tasks whose delay is over.
    while claimed is null and worker.status = 'active' and open_delayed_tasks(worker.pool) <> '{}' loop
      claimed := lease_next(p_worker_id) -> 'task';
    end loop;
  end if;
  return jsonb_build_object('worker_status', coalesce(worker.status, 'unknown'), 'task', claimed);
end $$;
select grant_to_service('claim_otherwise(text, boolean)');

-- Where the last claim of a connection found nothing, the next one only looks first, which costs a third of the attempt; where
-- it found a task, the look would cost a twentieth more. The setting is a hint: whatever its value, the answer is the same.
-- Functions are called by assignments here, because `perform` is a statement of its own, which costs three times the call.
create or replace function claim_task(p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  hint boolean := current_setting('gpu_pool.found_none', true) = 'true';
  is_idle boolean;
  answer jsonb;
  no_value text := require_worker(p_worker_id);
begin
  if hint then
    -- Without `order by … limit 1` Postgres may read the whole table.
    select not exists (
        select from tasks where worker_id = p_worker_id and lease_token is not null and lease_ended_at is null)
      and (select id from tasks where status = 'Queued' and gate = 'open' and pool = w.pool
        order by priority desc, vtime, id limit 1) is null
      and (select id from tasks where status = 'Queued' and gate = 'delayed' and pool = w.pool and delayed_until <= now()
        order by delayed_until limit 1) is null
    into is_idle from workers w
    where w.id = p_worker_id and w.status = 'active' and w.broken_at is null and w.origin <> 'job';
    if is_idle then
      return '{"worker_status": "active", "task": null}';
    end if;
  end if;
  no_value := pg_advisory_xact_lock(hashtextextended(p_worker_id, 1));
  answer := lease_next(p_worker_id);
  if hint is distinct from (answer is null) then
    perform set_config('gpu_pool.found_none', (answer is null)::text, false);
  end if;
  return coalesce(answer, claim_otherwise(p_worker_id));
end $$;
select grant_to_everyone('claim_task(text)');
