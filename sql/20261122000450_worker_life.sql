-- The life of one worker, from the request for its pod until the pod is gone (service role only). Each function checks
-- its conditions again under a lock on the worker's row and journals the outcome.

-- The order of the stages of a boot. Stages of another name come first.
create or replace function boot_stage_rank(p_stage text) returns integer
language sql immutable set search_path = public, pg_temp as $$
  select coalesce(array_position(
    array['reserved', 'posting', 'created', 'pulling', 'starting', 'running', 'installing', 'loading', 'ready'], p_stage), 0)
$$;
select grant_to_service('boot_stage_rank(text)');

-- task_id: the task that it holds, or that it held when it was drained or failed.
create or replace function worker_load(p_worker_id text) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  select jsonb_build_object('now_ms', to_ms(clock_timestamp()), 'id', w.id, 'pool', w.pool, 'status', w.status,
    'pod_id', w.pod_id, 'post_state', w.post_state, 'posted_ms', to_ms(w.posted_at), 'created_ms', to_ms(w.created_at),
    'ready_ms', to_ms(w.ready_at), 'boot_stage', w.boot_stage, 'boot_stage_ms', to_ms(w.boot_stage_at),
    'terminating_ms', to_ms(w.terminating_at), 'drains_without_deadline', w.drains_without_deadline, 'gone_ms', to_ms(w.gone_at),
    'status_reason', w.status_reason, 'config', p.config, 'environment', p.environment, 'decision_id', w.decision_id,
    'task_id', (select task_id from task_attempts
      where worker_id = w.id and (ended_at is null or ended_at >= w.terminating_at) order by started_at desc limit 1),
    'job', (select jsonb_build_object('purpose', j.purpose, 'timeout_sec', j.timeout_sec, 'state', j.state,
      'error', j.report ->> 'error') from pod_jobs j where j.worker_id = w.id),
    'busy', exists (select from open_leases where worker_id = w.id))
  from workers w join pools p on p.name = w.pool where w.id = p_worker_id
$$;
select grant_to_service('worker_load(text)');

-- Elects the only caller that may post this name, and records what it asks for. Stores the credential's hash before the
-- pod can exist. While the account has no funds, only the worker that was booked to try it may post. p_place: {gpu_type,
-- cloud, data_center, min_memory_gb, usd_per_hour, why}; a place that is dearer than what was booked must fit under
-- p_max_hourly_usd. Answers elected, not_elected, no_funds or over_budget.
create or replace function worker_begin_post(
  p_worker_id text, p_token_hash text, p_lifetime_sec integer, p_beat_hash text default null,
  p_place jsonb default null, p_max_hourly_usd numeric default null) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  spend record;
  price numeric := (p_place ->> 'usd_per_hour')::numeric;
begin
  update workers w set failed_on = 'funds' from no_funds n
  where w.id = p_worker_id and w.status = 'spawning' and w.post_state is null and w.created_at < n.tried_at;
  if found then
    return 'no_funds';
  end if;
  if price is not null and p_max_hourly_usd is not null then
    -- As in reserve_workers.
    perform pg_advisory_xact_lock(hashtextextended('gpu-pool: spend of the account', 0));
    select * into worker from workers where id = p_worker_id;
    select * into spend from account_spend(worker.pool);
    if price > coalesce(worker.expected_usd_per_hr, 0)
      and spend.hourly_usd - coalesce(worker.expected_usd_per_hr, spend.price_usd, 0) + price > p_max_hourly_usd then
      return 'over_budget';
    end if;
  end if;
  update workers set post_state = 'posting', posted_at = now(), token_hash = p_token_hash, beat_hash = p_beat_hash,
    token_expires_at = now() + make_interval(secs => p_lifetime_sec), boot_stage = 'posting', boot_stage_at = now(),
    instance_type = coalesce(p_place ->> 'gpu_type', instance_type),
    cloud = p_place ->> 'cloud', data_center = p_place ->> 'data_center',
    expected_usd_per_hr = coalesce(price, expected_usd_per_hr), failed_on = nullif(failed_on, 'place')
  where id = p_worker_id and status = 'spawning' and post_state is null and gone_at is null
  returning * into worker;
  if not found then
    return 'not_elected';
  end if;
  if p_place is not null then
    perform journal(worker.pool, 'pod.asked', p_place ->> 'why', p_worker_id, null, p_place - 'why');
  end if;
  return 'elected';
end $$;
select grant_to_service('worker_begin_post(text, text, integer, text, jsonb, numeric)');

create or replace function worker_record_pod(
  p_worker_id text, p_pod_id text, p_cost_per_hr_usd numeric, p_created_at timestamptz, p_adopted boolean)
returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  update workers set post_state = case when post_state = 'burned' then 'burned' else 'posted' end,
    pod_id = p_pod_id, cost_per_hr_usd = p_cost_per_hr_usd,
    -- The provider's clock may differ: a pod is no older than the request for it, and none begins in the future.
    pod_created_at = least(now(), greatest(coalesce(p_created_at, posted_at, now()), posted_at)),
    -- A pod that reports is quicker than the answer to the request for it.
    boot_stage = case when boot_stage_rank(boot_stage) < boot_stage_rank('created') then 'created' else boot_stage end,
    boot_stage_at = case when boot_stage_rank(boot_stage) < boot_stage_rank('created') then now() else boot_stage_at end
  where id = p_worker_id and pod_id is distinct from p_pod_id
  returning * into worker;
  if found then
    perform journal(worker.pool, case when p_adopted then 'pod.adopted' else 'pod.created' end,
      format('pod %s %s', p_pod_id, coalesce('at $' || p_cost_per_hr_usd || ' an hour', 'of unknown price')), p_worker_id);
    perform note_funds(worker.posted_at);
    if worker.origin = 'pool' then
      perform note_place(worker.pool, worker.posted_at);
    end if;
  end if;
end $$;
select grant_to_service('worker_record_pod(text, text, numeric, timestamptz, boolean)');

-- A definite refusal created nothing, so the name may be posted again. p_miss: the place that refused, if it is to cool
-- down, as worker_begin_post got it.
create or replace function worker_rearm_post(p_worker_id text, p_reason text, p_miss jsonb default null) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  update workers set post_state = null, token_hash = null where id = p_worker_id and post_state = 'posting'
  returning * into worker;
  if found then
    perform journal(worker.pool, 'pod.refused', p_reason, p_worker_id);
    if p_miss is not null then
      perform note_miss(worker.pool, p_miss, p_reason);
    end if;
  end if;
end $$;
select grant_to_service('worker_rearm_post(text, text, jsonb)');

create or replace function worker_burn_name(p_worker_id text, p_reason text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  update workers set post_state = 'burned', token_hash = null where id = p_worker_id and post_state = 'posting'
  returning * into worker;
  if found then
    perform journal(worker.pool, 'pod.name_burned', p_reason, p_worker_id);
  end if;
end $$;
select grant_to_service('worker_burn_name(text, text)');

-- The stage began at p_began_at, the provider's own time, as far as it can be true: not before the stage before it, not
-- longer ago than p_within_sec, and not later than now. Without that time it begins now. A boot never goes back to an
-- earlier stage: a container that restarts again and again must not get its deadlines again and again.
create or replace function worker_boot_stage(
  p_worker_id text, p_stage text, p_began_at timestamptz default null, p_within_sec double precision default null)
returns void
language sql security definer set search_path = public, pg_temp as $$
  update workers set boot_stage = p_stage,
    boot_stage_at = case when p_began_at is null then now()
      else greatest(boot_stage_at, now() - make_interval(secs => p_within_sec), least(p_began_at, now())) end
  where id = p_worker_id and status = 'spawning' and boot_stage_rank(p_stage) > boot_stage_rank(boot_stage)
$$;
select grant_to_service('worker_boot_stage(text, text, timestamptz, double precision)');

-- The pod reports its boot with its own credential: p_stage is the stage that begins, installing or loading. p_error says why the
-- boot cannot go on, and the watch then ends the worker at once.
create or replace function worker_report_boot(p_worker_id text, p_stage text, p_error text default null) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  perform require_worker(p_worker_id);
  if p_stage is null or p_stage not in ('installing', 'loading') then
    perform refuse_argument('p_stage', 'installing or loading is expected');
  end if;
  perform worker_boot_stage(p_worker_id, p_stage);
  if p_error is not null then
    update workers set broken_at = now(), broken_reason = left('its boot failed: ' || p_error, 1000)
    where id = p_worker_id and status = 'spawning' and broken_at is null and user_id is null;
  end if;
  select * into worker from workers where id = p_worker_id;
  return jsonb_build_object('worker_status', coalesce(worker.status, 'unknown'), 'boot_stage', worker.boot_stage);
end $$;
select grant_to_everyone('worker_report_boot(text, text, text)');

create or replace function close_worker_leases(p_worker_id text, p_cause text, p_reason text) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease record;
  closed integer := 0;
begin
  perform take_turn(p_worker_id);
  perform from workers where id = p_worker_id for update;
  for lease in select task_id, attempt from open_leases where worker_id = p_worker_id loop
    begin
      -- A completion does not lock the worker, so it may have ended this lease first.
      if close_attempt(lease.task_id, lease.attempt, p_cause, p_reason) <> 'lease_lost' then
        closed := closed + 1;
      end if;
    exception when others or assert_failure then
      -- The end of the worker must not wait for a task that nothing can be done with.
      perform set_row_aside(lease.task_id::text, (select pool from tasks where id = lease.task_id),
        'the lease of an ended worker cannot be ended', sqlstate, sqlerrm);
    end;
  end loop;
  return closed;
end $$;
select grant_to_service('close_worker_leases(text, text, text)');

-- Ends a worker that failed. The evidence is checked again under the lock: a newer heartbeat, newer progress or a first
-- heartbeat refuses the verdict. p_heartbeat_ms, p_progress_ms: the last ones that the verdict saw; null: not part of
-- its evidence. p_require_spawning: the verdict is a spawn deadline. p_failed_since_ms: the worker is sick since then; a
-- task that it completed after that refuses the verdict. The tasks that a sick worker failed are put back with it.
create or replace function fail_worker(
  p_worker_id text, p_lease_cause text, p_reason text, p_heartbeat_ms bigint default null,
  p_require_spawning boolean default false, p_evidence text default null, p_progress_ms bigint default null,
  p_failed_since_ms bigint default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  outcome text := 'failed';
  closed integer := 0;
  put_back jsonb;
begin
  perform take_turn(p_worker_id);
  select * into worker from workers where id = p_worker_id for update;
  if worker.status is null or worker.status in ('terminated', 'error') or worker.gone_at is not null then
    outcome := 'not_living';
  elsif p_require_spawning and worker.status <> 'spawning' then
    outcome := 'refused_ready';
  elsif p_heartbeat_ms is not null and to_ms(worker.last_heartbeat) > p_heartbeat_ms
    or p_progress_ms is not null and not exists (
      select from open_leases where worker_id = p_worker_id
        and to_ms(coalesce(progress_at, started_at)) <= p_progress_ms)
    or p_failed_since_ms is not null and has_completed_since(p_worker_id, p_failed_since_ms)
  then
    outcome := 'refused_recovered';
    update workers set last_signal = 'ready' where id = p_worker_id;
  else
    update workers set status = 'error', status_reason = p_reason, terminating_at = coalesce(terminating_at, now()),
      failed_at = now(), failed_on = coalesce(p_evidence, failed_on)
    where id = p_worker_id;
    closed := close_worker_leases(p_worker_id, p_lease_cause, p_reason);
    if p_failed_since_ms is not null then
      put_back := put_back_failures(p_worker_id, p_failed_since_ms);
    end if;
  end if;
  perform journal(coalesce(worker.pool, '?'), 'worker.fail', format('%s: %s', outcome, p_reason), p_worker_id, null,
    jsonb_strip_nulls(jsonb_build_object('outcome', outcome, 'leases_closed', closed, 'evidence', p_evidence,
      'put_back', put_back)));
  return jsonb_build_object('outcome', outcome, 'leases_closed', closed);
end $$;
select grant_to_service('fail_worker(text, text, text, bigint, boolean, text, bigint, bigint)');

-- Stores an operator's order about one worker. An external worker is drained in its row, because it has no workflow.
-- The caller signals the workflows of other workers. Answers ordered, external, already_leaving, not_living or unknown,
-- with the status.
create or replace function order_worker(p_pool text, p_worker_id text, p_kind text, p_reason text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  outcome text := 'ordered';
begin
  if p_kind is null or p_kind not in ('drain', 'terminate') then
    raise exception 'p_kind: expected drain or terminate, got %', coalesce(one_line(p_kind), 'nothing') using errcode = 'PT400';
  end if;
  select * into worker from workers where id = p_worker_id and pool = p_pool for update;
  if worker.id is null then
    outcome := 'unknown';
  elsif worker.gone_at is not null or worker.status in ('error', 'terminated') then
    outcome := 'not_living';
  elsif worker.origin = 'external' then
    outcome := 'external';
    perform drain_worker(p_worker_id, p_reason, false);
    worker.status := 'terminating';
  -- A drain without a deadline may still get one.
  elsif worker.status = 'terminating' and p_kind = 'drain' and not worker.drains_without_deadline then
    outcome := 'already_leaving';
  end if;
  perform journal(p_pool, 'message.' || p_kind || 'Worker', format('%s: %s', outcome, p_reason), one_line(p_worker_id), null,
    jsonb_build_object('outcome', outcome, 'status', worker.status));
  return jsonb_build_object('outcome', outcome, 'status', worker.status);
end $$;
select grant_to_service('order_worker(text, text, text, text)');

-- The shutdown deadline has passed: the tasks that the worker still holds go back to the queue.
create or replace function expel_worker(p_worker_id text, p_reason text) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  closed integer;
begin
  closed := close_worker_leases(p_worker_id, 'drained', p_reason);
  if closed > 0 then
    perform journal((select pool from workers where id = p_worker_id), 'worker.expelled', p_reason, p_worker_id, null,
      jsonb_build_object('leases_closed', closed));
  end if;
  return closed;
end $$;
select grant_to_service('expel_worker(text, text)');

-- Answers how many seconds ago the provider first accepted the deletion.
create or replace function worker_deleted(p_worker_id text) returns numeric
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update workers set deleted_at = now() where id = p_worker_id and deleted_at is null;
  return (select extract(epoch from now() - deleted_at) from workers where id = p_worker_id);
end $$;
select grant_to_service('worker_deleted(text)');

-- The pod may cost money. The alert closes when the pod is seen to be gone.
create or replace function worker_delete_failing(p_worker_id text, p_message text) returns void
language sql security definer set search_path = public, pg_temp as $$
  select open_alert('delete_failing', id, pool, p_message) from workers where id = p_worker_id and gone_at is null
$$;
select grant_to_service('worker_delete_failing(text, text)');

-- The provider was seen to have no such pod. Ends the row, invalidates the credential and books the cost.
create or replace function worker_gone(p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  perform close_worker_leases(p_worker_id, 'host_lost', 'the pod is gone');
  update workers set
    status = case when status = 'error' then 'error' else 'terminated' end,
    gone_at = now(), token_hash = null,
    -- A cost that is there already is that of an earlier pod.
    cost_usd = coalesce(cost_usd, 0) + case when pod_created_at is null then 0 else
      round(cost_per_hr_usd * extract(epoch from coalesce(deleted_at, now()) - pod_created_at)::numeric / 3600, 6) end
  where id = p_worker_id and gone_at is null
  returning * into worker;
  if found then
    perform journal(worker.pool, 'worker.gone', format('%s after %s s; cost %s', worker.status,
      round(extract(epoch from now() - worker.created_at)), coalesce('$' || worker.cost_usd, 'unknown')), p_worker_id);
    perform close_alert('delete_failing', p_worker_id);
    -- A workflow that was terminated or reset meanwhile counts its attempts anew and does not close this one.
    perform close_alert('record_failing', p_worker_id);
    perform end_pod_job(p_worker_id, worker.status_reason);
  end if;
  return jsonb_build_object('cost_usd', worker.cost_usd);
end $$;
select grant_to_service('worker_gone(text)');
