-- Workers that the pool did not spawn, on other machines. No workflow watches them, and this program deletes nothing of
-- theirs.

-- Registers a worker with its own credential. Its first heartbeat makes it active. An id can be used once. p_task_types: what it
-- can do, if its program does not say so itself; null: anything.
create or replace function register_external_worker(
  p_worker_id text, p_pool text, p_token_hash text, p_lifetime_sec integer, p_instance_type text default null,
  p_beat_hash text default null, p_task_types text[] default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_worker_id('p_worker_id', p_worker_id);
  perform require_task_types('p_task_types', p_task_types);
  if p_token_hash is null or p_token_hash !~ '^[0-9a-f]{64}$' or p_lifetime_sec is null or p_lifetime_sec <= 0 then
    raise exception 'worker % has no usable credential', p_worker_id
      using errcode = 'PT400', hint = 'p_token_hash is the SHA-256 of its token in hex, p_lifetime_sec at least 1.';
  end if;
  if not exists (select from pools where name = p_pool) then
    raise exception 'pool % does not exist', coalesce(one_line(p_pool), '(none)')
      using errcode = 'PT404', hint = 'See gpu-pool pool list.';
  end if;
  insert into workers (id, pool, origin, instance_type, token_hash, beat_hash, token_expires_at, boot_stage,
    task_types)
  values (p_worker_id, p_pool, 'external', coalesce(p_instance_type, 'external'), p_token_hash, p_beat_hash,
    now() + make_interval(secs => p_lifetime_sec), 'registered', stored_task_types(p_task_types))
  on conflict (id) do nothing;
  if not found then
    return jsonb_build_object('outcome', 'taken');
  end if;
  perform journal(p_pool, 'worker.registered', format('external, its token is good for %s s', p_lifetime_sec), p_worker_id);
  return jsonb_build_object('outcome', 'registered');
end $$;
select grant_to_service('register_external_worker(text, text, text, integer, text, text, text[])');

-- Gives the worker no further task. It finishes the one that it holds. Answers drained, or not_living where there is no
-- such worker.
create or replace function drain_external_worker(p_worker_id text, p_reason text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if not exists (select from workers where id = p_worker_id and origin = 'external' and gone_at is null) then
    return jsonb_build_object('outcome', 'not_living', 'busy', false);
  end if;
  return drain_worker(p_worker_id, p_reason, false);
end $$;
select grant_to_service('drain_external_worker(text, text)');

-- Ends a worker that its own machine has stopped: its credential becomes invalid, and its tasks go back to the queue.
create or replace function remove_external_worker(p_worker_id text, p_reason text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  perform take_turn(p_worker_id);
  select * into worker from workers where id = p_worker_id and origin = 'external' and gone_at is null for update;
  if not found then
    return jsonb_build_object('outcome', 'not_living');
  end if;
  perform close_worker_leases(p_worker_id, 'released', p_reason);
  update workers set status = 'terminated', status_reason = p_reason, gone_at = now(), token_hash = null
  where id = p_worker_id;
  perform journal(worker.pool, 'worker.gone', format('external worker removed: %s', p_reason), p_worker_id);
  return jsonb_build_object('outcome', 'removed');
end $$;
select grant_to_service('remove_external_worker(text, text)');

create or replace function is_silent(p_worker workers, p_observing timestamptz, p_silent_sec numeric) returns boolean
language sql stable set search_path = public, pg_temp as $$
  select p_worker.user_id is null and greatest(p_worker.last_heartbeat, p_worker.created_at, p_observing)
    < now() - make_interval(secs => p_silent_sec)
$$;
select grant_to_service('is_silent(workers, timestamptz, numeric)');

-- Ends the leases of one external worker if it is silent or stuck. Answers how many.
create or replace function expire_worker(p_worker workers, p_observing timestamptz, p_silent_sec numeric, p_stuck_sec numeric)
returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease record;
  silent boolean := is_silent(p_worker, p_observing, p_silent_sec);
  closed integer := 0;
begin
  for lease in
    select a.task_id, a.attempt from open_leases a
    where a.worker_id = p_worker.id and (silent
      or greatest(coalesce(a.progress_at, a.started_at), case when p_worker.user_id is null then p_observing end)
        < now() - make_interval(secs => coalesce(a.stuck_timeout_sec, p_stuck_sec)))
  loop
    -- A completion may have ended this lease first.
    continue when close_attempt(lease.task_id, lease.attempt, case when silent then 'worker_died' else 'stuck' end,
      case when silent then 'the external worker fell silent' else 'no progress' end) = 'lease_lost';
    perform journal(p_worker.pool, 'worker.lease_expired',
      case when silent then 'an external worker fell silent' else 'an external worker''s task made no progress' end,
      p_worker.id, null, jsonb_build_object('task_id', lease.task_id));
    closed := closed + 1;
  end loop;
  return closed;
end $$;
select grant_to_service('expire_worker(workers, timestamptz, numeric, numeric)');

-- Ends the leases of external workers that are silent or stuck, by the same limits as for pods. Their rows stay,
-- because a machine may come back, unless the worker was drained or its credential has expired. A user's own machine is
-- in a pool that nothing watches and sends no heartbeat while it works, so the call for any pool ends its lease.
create or replace function expire_external_workers(p_pool text, p_silent_sec numeric, p_stuck_sec numeric) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  silent boolean;
  closed integer := 0;
  removed integer := 0;
  -- While the pool's own workers are silent at the same time, no silence counts.
  observing timestamptz := coalesce(
    (select observing_since from pools where name = p_pool and mass_silence_since is null), now());
begin
  -- All turns come before the first row lock.
  perform take_turn(id) from (
    select id from workers
    where origin = 'external' and gone_at is null and (pool = p_pool or user_id is not null) order by id) as w;
  for worker in
    select * from workers w
    where origin = 'external' and gone_at is null and (pool = p_pool or user_id is not null and exists (
      select from open_leases where worker_id = w.id))
    order by id for update
  loop
    begin
      closed := closed + expire_worker(worker, observing, p_silent_sec, p_stuck_sec);
      perform close_alert('row_set_aside', worker.id);
      silent := is_silent(worker, observing, p_silent_sec);
      if silent and (worker.status in ('terminating', 'error') or worker.token_expires_at < now()) then
        perform remove_external_worker(worker.id, 'silent after its end');
        removed := removed + 1;
      end if;
    exception when others or assert_failure then
      perform set_row_aside(worker.id, worker.pool, 'the lease of an external worker cannot be ended', sqlstate, sqlerrm);
    end;
  end loop;
  return jsonb_build_object('closed', closed, 'removed', removed);
end $$;
select grant_to_service('expire_external_workers(text, numeric, numeric)');

-- Carries out a verdict about an external worker, which has no workflow: it gets no further task, and its own machine
-- ends it. A broken worker also loses its task. Of a sick worker, the tasks that it failed since p_failed_since_ms are put
-- back, unless it has completed one since. Answers ended, refused_recovered, not_living or set_aside; a repetition changes
-- nothing.
create or replace function end_external_worker(
  p_worker_id text, p_evidence text, p_lease_cause text, p_reason text, p_failed_since_ms bigint default null)
returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  put_back jsonb;
begin
  perform take_turn(p_worker_id);
  select * into worker from workers where id = p_worker_id and origin = 'external' and gone_at is null
    and status in ('spawning', 'active') for update;
  if not found then
    return 'not_living';
  end if;
  if p_failed_since_ms is not null and has_completed_since(p_worker_id, p_failed_since_ms) then
    return 'refused_recovered';
  end if;
  begin
    update workers set failed_on = p_evidence where id = p_worker_id;
    if p_failed_since_ms is null then
      perform close_worker_leases(p_worker_id, p_lease_cause, p_reason);
    else
      put_back := put_back_failures(p_worker_id, p_failed_since_ms);
    end if;
    perform drain_worker(p_worker_id, p_reason, false);
    perform journal(worker.pool, 'worker.fail', format('external, drained: %s', p_reason), p_worker_id, null,
      jsonb_strip_nulls(jsonb_build_object('evidence', p_evidence, 'put_back', put_back)));
  exception when others or assert_failure then
    -- The watch calls this before it decides about all other workers.
    perform set_row_aside(p_worker_id, worker.pool, 'an external worker cannot be drained', sqlstate, sqlerrm);
    return 'set_aside';
  end;
  return 'ended';
end $$;
select grant_to_service('end_external_worker(text, text, text, text, bigint)');
