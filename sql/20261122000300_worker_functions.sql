-- Functions that a GPU worker calls with its own credential, the opaque token in the header x-worker-token.

-- The lease of this call, which has to be its worker's own; null: there is none with this token.
create or replace function own_lease(p_task_id uuid, p_lease_token uuid) returns task_attempts
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts;
begin
  select * into lease from task_attempts where lease_token = p_lease_token and task_id = p_task_id;
  if found then
    perform require_worker(lease.worker_id);
  end if;
  return lease;
end $$;
select grant_to_service('own_lease(uuid, uuid)');

-- The same, with its worker's row locked first. Lock order in all functions of workers and of the pool: the worker's turn, the
-- worker, its task, the task's project. A claim alone locks the task before the worker, which its turn makes safe.
create or replace function lock_lease(p_task_id uuid, p_lease_token uuid) returns task_attempts
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := own_lease(p_task_id, p_lease_token);
begin
  if lease.task_id is null then
    return null;
  end if;
  perform from workers where id = lease.worker_id for no key update;
  perform from tasks where id = p_task_id for no key update;
  select * into lease from task_attempts where lease_token = p_lease_token and task_id = p_task_id;
  return lease;
end $$;
select grant_to_service('lock_lease(uuid, uuid)');

create or replace function report_progress(p_task_id uuid, p_lease_token uuid, p_progress real, p_message text default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_progress not between 0 and 1 then
    perform refuse_argument('p_progress', format('a fraction from 0 to 1 is expected, not %s', p_progress));
  end if;
  perform own_lease(p_task_id, p_lease_token);
  update tasks
  set progress = p_progress, progress_message = left(p_message, 500), progress_at = now(), reports_progress = true
  where id = p_task_id and lease_token = p_lease_token and lease_ended_at is null;
  return jsonb_build_object('held', found);
end $$;
select grant_to_everyone('report_progress(uuid, uuid, real, text)');

create or replace function authorize_upload(p_task_id uuid, p_lease_token uuid) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := own_lease(p_task_id, p_lease_token);
begin
  if lease.task_id is not null and lease.ended_at is null then
    perform require_file_room(p_task_id::text, lease.attempt::text, 1);
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

-- A completion locks no worker: the lease stands in the row that it changes. A refusal undoes the change. A later statement
-- looks for what the end of the task requires, as the trigger tasks_stopped does for any other end; for most tasks it is nothing.
-- The answer "not gated" is read again under the lock, which is given back where it was wrong, as in project_is_gated.
create or replace function finish_task(
  p_task_id uuid, p_lease_token uuid, p_storage_path text, p_output_location text, p_result jsonb)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  holder text;
  project uuid;
  parent uuid;
  gated boolean;
  limited boolean;
  awaited boolean;
  watched boolean;
  end_cause text;
  attempt integer;
  file jsonb;
  is_trusted boolean := coalesce(nullif(current_setting('role', true), ''), 'none') in ('service_role', 'none');
begin
  -- Each condition that is looked at is compiled anew in each transaction, so most completions pass three of them by.
  if p_output_location is not null or p_result <> '{}' then
    if pg_column_size(p_result) > 1000 or length(p_result::text) > 1000 then
      perform require_fit_json('result_data', p_result);
    end if;
    if p_output_location is not null then
      file := stored_file(p_output_location, p_storage_path);
    end if;
    if file is not null or p_result::text ~ '(url|urls|location)"' then
      p_result := with_known_urls(p_result) || case when file is null then '{}' else file_record(file) end;
    end if;
  end if;
  update tasks
  set status = 'Complete', output_location = coalesce(file ->> 'url', p_output_location), result_data = p_result,
    error_message = null,
    generation_processed_at = now(), generation_created = true, progress = 1, progress_at = now(), lease_ended_at = now(),
    updated_at = now()
  where id = p_task_id and lease_token = p_lease_token and lease_ended_at is null
  returning worker_id, project_id, parent_id, leases,
    (select paused or max_running is not null from projects where id = project_id)
  into holder, project, parent, attempt, gated;
  if not found then
    select worker_id, cause into holder, end_cause from task_attempts where task_id = p_task_id and lease_token = p_lease_token;
    if found then
      perform require_worker(holder);
    end if;
    return jsonb_build_object('outcome', case end_cause when 'completed' then 'already_completed' else 'lease_lost' end);
  end if;
  if p_storage_path is not null or p_output_location is not null or not is_trusted then
    if not is_trusted then
      perform require_worker(holder);
    end if;
    if (p_storage_path is not null or p_output_location is not null) and to_regclass('storage.objects') is not null then
      perform require_own_file(p_task_id, case when p_storage_path is not null then file end, p_storage_path);
    end if;
    if not is_trusted then
      perform require_own_attempt(p_task_id, attempt, file ->> 'name'), require_own_urls(p_task_id, p_result);
      if file is null then
        perform require_file(p_task_id);
      end if;
    end if;
  end if;
  begin
    gated := gated or not pg_try_advisory_xact_lock_shared(hashtextextended(project::text, 0));
    select paused or max_running is not null,
      exists (select from tasks where dependant_on = p_task_id and status = 'Queued' and gate = 'blocked'),
      exists (select from notification_endpoints where enabled)
    into limited, awaited, watched from projects where id = project;
    if limited and not gated then
      raise exception using errcode = 'GP001';
    end if;
  exception when sqlstate 'GP001' then
    gated := true;
  end;
  -- Null: an adopted table names a project that is not there.
  if gated is not false or awaited or watched or parent is not null then
    if gated is not false then
      gated := project_is_gated(project);
    end if;
    perform task_ended(t, gated) from tasks t where id = p_task_id;
  end if;
  return '{"outcome": "completed"}';
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
  finished jsonb;
  answer jsonb;
  no_value text;
begin
  -- Most leases are found in their task's row, in half the time that the view task_attempts takes.
  select worker_id into holder from tasks where id = p_task_id and lease_token = p_lease_token;
  if not found then
    select worker_id into holder from ended_attempts where task_id = p_task_id and lease_token = p_lease_token;
    if not found then
      return '{"outcome": "lease_lost", "worker_status": "unknown", "task": null}';
    end if;
  end if;
  -- The claim's turn comes before all row locks. By an assignment, as in claim_task.
  no_value := pg_advisory_xact_lock(hashtextextended(holder, 1));
  finished := finish_task(p_task_id, p_lease_token, p_storage_path, p_output_location, p_result);
  if current_setting('gpu_pool.stated', true) = '-' || holder then
    answer := lease_of_types(holder);
  else
    answer := lease_next(holder, p_straight => current_setting('gpu_pool.stated', true) = holder);
  end if;
  return finished || coalesce(answer, claim_otherwise(holder, p_resumes => false));
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

-- The worker says what it can do, before its first claim and again whenever that changes. p_task_types: the types of the tasks,
-- or aliases of them; null: any.
create or replace function worker_can_do(p_worker_id text, p_task_types text[]) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  perform require_task_types('p_task_types', p_task_types);
  perform require_worker(p_worker_id);
  update workers set task_types = stored_task_types(p_task_types), task_types_at = now()
  where id = p_worker_id and gone_at is null returning * into worker;
  return jsonb_build_object('worker_status', coalesce(worker.status, 'unknown'), 'task_types', to_jsonb(worker.task_types));
end $$;
select grant_to_everyone('worker_can_do(text, text[])');
