-- Functions that a GPU worker calls with its own credential, the opaque token in the header x-worker-token.

-- Returns the lease of this call and locks its worker's row first. Lock order in all functions of workers and of the
-- pool: workers, attempts, tasks.
create or replace function lock_lease(p_task_id uuid, p_lease_token uuid) returns task_attempts
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts;
begin
  select * into lease from task_attempts where lease_token = p_lease_token and task_id = p_task_id;
  if not found then
    return null;
  end if;
  perform require_worker(lease.worker_id);
  perform from workers where id = lease.worker_id for no key update;
  select * into lease from task_attempts where task_id = lease.task_id and attempt = lease.attempt for update;
  return lease;
end $$;
select grant_to_service('lock_lease(uuid, uuid)');

-- The task that a worker holds, in the form in which a claim answers it; null: none.
create or replace function open_claim(p_worker_id text) returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  return (
    select jsonb_build_object('task_id', t.id, 'task_type', t.task_type, 'params', t.params, 'project_id', t.project_id,
      'attempt', a.attempt, 'lease_token', a.lease_token)
    from task_attempts a join tasks t on t.id = a.task_id where a.worker_id = p_worker_id and a.ended_at is null);
end $$;
select grant_to_service('open_claim(text)');

-- Answers a claim of a worker that holds a task already: it gets the same task again. An orchestrator task without
-- sub-tasks is handed back instead, and the answer is null. The caller has locked the worker's row.
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

-- Gives a queued task to this worker. The caller has locked both rows, and the worker holds no other task.
create or replace function lease_task(p_task_id uuid, p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  claimed jsonb;
begin
  with lease as (
    insert into task_attempts (task_id, worker_id, attempt, claimable_at)
    select id, p_worker_id, (select coalesce(max(attempt), 0) + 1 from task_attempts where task_id = p_task_id),
      coalesce(updated_at, created_at)
    from tasks where id = p_task_id returning attempt, lease_token
  )
  update tasks t
  set status = 'In Progress', worker_id = p_worker_id, attempts = attempts + 1, generation_started_at = now(),
    -- A later text here is an error of this attempt, whatever its words.
    error_message = null, error_details = null
  from lease where t.id = p_task_id
  returning jsonb_build_object('task_id', t.id, 'task_type', t.task_type, 'params', t.params, 'project_id', t.project_id,
    'attempt', lease.attempt, 'lease_token', lease.lease_token) into claimed;
  return claimed;
end $$;
select grant_to_service('lease_task(uuid, text)');

-- Leases the first task in a pool's line; null: there is none.
create or replace function lease_next(p_pool text, p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  next_id uuid;
begin
  loop
    select id into next_id from tasks
    where status = 'Queued' and gate = 'open' and pool = p_pool
    order by priority desc, vtime, id
    limit 1
    for update skip locked;
    -- An empty line is the time to look for tasks whose delay is over.
    exit when found or open_delayed_tasks(p_pool) = '{}';
  end loop;
  return case when next_id is not null then lease_task(next_id, p_worker_id) end;
end $$;
select grant_to_service('lease_next(text, text)');

create or replace function claim_task(p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker_status text;
  worker_pool text;
  broken boolean;
  claimed jsonb;
begin
  perform require_worker(p_worker_id);
  -- Locked to the end of the transaction. So a drain, which locks FOR UPDATE, comes before this claim or sees it, and a
  -- second claim of this worker finds the lease of the first one.
  select status, pool, broken_at is not null or origin = 'job' into worker_status, worker_pool, broken
  from workers where id = p_worker_id for no key update;
  -- A worker that reported itself broken gets no task, not even its own one. A pod of a job never has one.
  if not broken then
    claimed := open_claim(p_worker_id);
    if claimed is not null and worker_status = 'active' then
      claimed := resume_claim(claimed);
    end if;
    if claimed is null and worker_status = 'active' then
      claimed := lease_next(worker_pool, p_worker_id);
    end if;
  end if;
  return jsonb_build_object('worker_status', coalesce(worker_status, 'unknown'), 'task', claimed);
end $$;
select grant_to_everyone('claim_task(text)');

create or replace function report_progress(p_task_id uuid, p_lease_token uuid, p_progress real, p_message text default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  holder text;
begin
  if p_progress not between 0 and 1 then
    perform refuse_argument('p_progress', format('a fraction from 0 to 1 is expected, not %s', p_progress));
  end if;
  select worker_id into holder from task_attempts where lease_token = p_lease_token and task_id = p_task_id;
  if found then
    perform require_worker(holder);
  end if;
  update task_attempts
  set progress = p_progress, progress_message = left(p_message, 500), progress_at = now(), reports_progress = true
  where lease_token = p_lease_token and task_id = p_task_id and ended_at is null;
  return jsonb_build_object('held', found);
end $$;
select grant_to_everyone('report_progress(uuid, uuid, real, text)');

create or replace function authorize_upload(p_task_id uuid, p_lease_token uuid) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts;
begin
  select * into lease from task_attempts where lease_token = p_lease_token and task_id = p_task_id;
  if found then
    perform require_worker(lease.worker_id);
  end if;
  return jsonb_build_object(
    'allowed', lease.task_id is not null and lease.ended_at is null,
    'reason', case
      when lease.task_id is null then 'no such lease'
      when lease.ended_at is not null then 'lease ended: ' || lease.cause
      else 'lease held' end,
    'attempt', lease.attempt);
end $$;
select grant_to_everyone('authorize_upload(uuid, uuid)');

-- A completion does not lock the worker's row: locking the attempt's row, and then the task's, is enough.
create or replace function finish_task(
  p_task_id uuid, p_lease_token uuid, p_storage_path text, p_output_location text, p_result jsonb)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  holder text;
  number integer;
  ended timestamptz;
  end_cause text;
  stored boolean;
begin
  select worker_id, attempt, ended_at, cause into holder, number, ended, end_cause from task_attempts
  where task_id = p_task_id and lease_token = p_lease_token;
  if not found then
    return jsonb_build_object('outcome', 'lease_lost');
  end if;
  perform require_worker(holder);
  if ended is null then
    if (p_storage_path is not null or p_output_location is not null) and to_regclass('storage.objects') is not null then
      -- Not LIKE, because a name may contain its wildcards.
      select exists (
        select from storage.buckets b join storage.objects o on o.bucket_id = b.id and o.name = p_storage_path,
          lateral (select '/storage/v1/object/public/' || b.id || '/' || o.name) as public (path)
        where public.path in (right(p_output_location, length(public.path)),
            right(percent_decoded(p_output_location), length(public.path)))
          and (o.metadata ->> 'size')::bigint > 0
      ) into stored;
      if stored is not true or not is_own_object(p_task_id, p_storage_path) then
        if exists (select from storage.buckets b join storage.objects o on o.bucket_id = b.id and o.name = p_storage_path) then
          perform require_own_object(p_task_id, p_storage_path);
        end if;
        raise exception 'task % cannot complete: object % is not in storage', p_task_id,
          coalesce(one_line(p_storage_path), '(none)')
          using errcode = 'PT409',
            hint = 'Upload the file first; it must have more than 0 bytes, and p_output_location must be its public URL.';
      end if;
    end if;
    with lease as (
      update task_attempts set ended_at = now(), cause = 'completed', progress = 1, progress_at = now()
      where task_id = p_task_id and attempt = number and ended_at is null
      returning task_id
    )
    update tasks t
    set status = 'Complete', output_location = p_output_location, result_data = p_result, error_message = null,
      generation_processed_at = now(), generation_created = true
    from lease where t.id = lease.task_id and t.status = 'In Progress';
    if found then
      return jsonb_build_object('outcome', 'completed');
    end if;
    -- Another transaction ended the lease first.
    select cause into end_cause from task_attempts where task_id = p_task_id and attempt = number;
  end if;
  return jsonb_build_object('outcome', case end_cause when 'completed' then 'already_completed' else 'lease_lost' end);
end $$;
select grant_to_everyone('finish_task(uuid, uuid, text, text, jsonb)');

-- finish_task and the next claim_task of the same worker in one round trip; answers the fields of both. The worker is
-- free for its next task, whatever happened to the lease. A lease that does not exist has no worker, so nothing is
-- claimed.
create or replace function finish_and_claim(
  p_task_id uuid, p_lease_token uuid, p_storage_path text, p_output_location text, p_result jsonb)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  holder text;
  worker_status text;
  worker_pool text;
  broken boolean;
  finished jsonb;
  claimed jsonb;
begin
  -- The claim needs a lock on the worker's row, which must come before all other locks.
  select w.id, w.status, w.pool, w.broken_at is not null into holder, worker_status, worker_pool, broken
  from task_attempts a join workers w on w.id = a.worker_id
  where a.task_id = p_task_id and a.lease_token = p_lease_token
  for no key update of w;
  if not found then
    return '{"outcome": "lease_lost", "worker_status": "unknown", "task": null}';
  end if;
  finished := finish_task(p_task_id, p_lease_token, p_storage_path, p_output_location, p_result);
  if finished ->> 'outcome' <> 'completed' and not broken then
    claimed := open_claim(holder);
  end if;
  if claimed is null and worker_status = 'active' and not broken then
    claimed := lease_next(worker_pool, holder);
  end if;
  return finished || jsonb_build_object('worker_status', worker_status, 'task', claimed);
end $$;
select grant_to_everyone('finish_and_claim(uuid, uuid, text, text, jsonb)');

create or replace function fail_task(p_task_id uuid, p_lease_token uuid, p_error text, p_permanent boolean default false)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := lock_lease(p_task_id, p_lease_token);
begin
  if lease.task_id is null or lease.ended_at is not null then
    return jsonb_build_object('outcome', 'lease_lost');
  end if;
  return jsonb_build_object('outcome', close_attempt(p_task_id, lease.attempt, 'task_error', left(p_error, 4000), p_permanent));
end $$;
select grant_to_everyone('fail_task(uuid, uuid, text, boolean)');

create or replace function release_task(p_task_id uuid, p_lease_token uuid, p_reason text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := lock_lease(p_task_id, p_lease_token);
begin
  if lease.task_id is null or lease.ended_at is not null then
    return jsonb_build_object('outcome', 'lease_lost');
  end if;
  perform close_attempt(p_task_id, lease.attempt, 'released', left(p_reason, 4000), p_handed_back => true);
  return jsonb_build_object('outcome', 'released');
end $$;
select grant_to_everyone('release_task(uuid, uuid, text)');

-- The status that a report gave its task, for a worker that sends the same report again because the answer was lost.
-- Null: this lease did not end by such a report. Meanwhile the task may be with its next worker, or have ended.
create or replace function repeated_report(p_lease task_attempts, p_status text) returns text
language sql stable security definer set search_path = public, pg_temp as $$
  select case
    when p_status = 'Queued' and p_lease.cause = 'released' then 'Queued'
    when p_status <> 'Failed' or p_lease.cause is distinct from 'task_error' then null
    when exists (select from tasks where id = p_lease.task_id and status = 'Failed') and not exists (
      select from task_attempts where task_id = p_lease.task_id and attempt > p_lease.attempt) then 'Failed'
    else 'Queued' end
$$;
select grant_to_service('repeated_report(task_attempts, text)');

-- From now on the task waits for its sub-tasks, and its worker is free. p_result_task_id names the sub-task whose
-- output becomes the output of the task; null: the last sub-task. Answers delegated, no_children (the lease is kept) or
-- lease_lost.
create or replace function delegate_task(p_task_id uuid, p_lease_token uuid, p_result_task_id uuid default null) returns jsonb
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
  if not exists (select from tasks where parent_id = p_task_id) then
    return jsonb_build_object('outcome', 'no_children');
  end if;
  if p_result_task_id is not null and not exists (
    select from tasks where id = p_result_task_id and parent_id = p_task_id)
  then
    raise exception 'p_result_task_id: % is no sub-task of task %', p_result_task_id, p_task_id using errcode = 'PT400';
  end if;
  update tasks
  set delegated_at = now(), worker_id = null, attempts = attempts - 1, result_data = case
    when p_result_task_id is null then result_data
    else coalesce(result_data, '{}') || jsonb_build_object('result_task_id', p_result_task_id) end
  where id = p_task_id;
  return jsonb_build_object('outcome', 'delegated');
end $$;
select grant_to_everyone('delegate_task(uuid, uuid, uuid)');

create or replace function worker_heartbeat(
  p_worker_id text, p_vram_total_mb integer default null, p_vram_used_mb integer default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  before text;
  worker workers;
begin
  if p_vram_total_mb < 0 or p_vram_used_mb < 0 then
    perform refuse_argument(case when p_vram_total_mb < 0 then 'p_vram_total_mb' else 'p_vram_used_mb' end,
      'megabytes are expected, at least 0');
  end if;
  perform require_worker(p_worker_id);
  select status into before from workers where id = p_worker_id for no key update;
  update workers
  set last_heartbeat = now(), vram_total_mb = coalesce(p_vram_total_mb, vram_total_mb),
    vram_used_mb = coalesce(p_vram_used_mb, vram_used_mb),
    vram_at = case when coalesce(p_vram_total_mb, p_vram_used_mb) is not null then now() else vram_at end,
    status = case when status = 'spawning' then 'active' else status end,
    ready_at = coalesce(ready_at, now()),
    -- A pod that beats exists, although its create request may have had no answer yet: it counts in the books from now on.
    pod_created_at = coalesce(pod_created_at, posted_at),
    boot_stage = 'ready', boot_stage_at = case when ready_at is null then now() else boot_stage_at end
  where id = p_worker_id and status in ('spawning', 'active', 'terminating') and gone_at is null
  returning * into worker;
  if before = 'spawning' and worker.id is not null then
    insert into pool_events (pool, kind, reason, worker_id, details)
    values (worker.pool, 'worker.ready', format('first heartbeat %s s after it was reserved',
      round(extract(epoch from now() - worker.created_at))), worker.id,
      jsonb_build_object('vram_total_mb', p_vram_total_mb));
  end if;
  return jsonb_build_object('worker_status', coalesce(worker.status, before, 'unknown'));
end $$;
select grant_to_everyone('worker_heartbeat(text, integer, integer)');
