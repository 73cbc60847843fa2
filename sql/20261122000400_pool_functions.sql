-- What the pool's activities may do (service role only). Each re-checks its ground in one transaction and journals its outcome.

create or replace function to_ms(p_at timestamptz) returns bigint
language sql immutable set search_path = public, pg_temp as $$ select (extract(epoch from p_at) * 1000)::bigint $$;

create or replace function journal(
  p_pool text, p_kind text, p_reason text, p_worker_id text default null, p_decision_id text default null,
  p_details jsonb default '{}')
returns void
language sql security definer set search_path = public, pg_temp as $$
  insert into pool_events (pool, kind, reason, worker_id, decision_id, details)
  values (p_pool, p_kind, p_reason, p_worker_id, p_decision_id, coalesce(p_details, '{}'))
$$;

-- Creates the pool's row on its first start; a given config is laid over the stored one. A pool that was shut down
-- begins as normal. Answers who lives.
create or replace function pool_open(p_pool text, p_config jsonb default '{}') returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
begin
  insert into pools (name, config) values (p_pool, coalesce(p_config, '{}'))
  on conflict (name) do update set config = pools.config || excluded.config, updated_at = now(),
    mode = case when pools.mode = 'closing' then 'normal' else pools.mode end
  returning * into row;
  return jsonb_build_object('living', (
    select coalesce(jsonb_agg(id order by id), '[]') from workers
    where pool = p_pool and gone_at is null and origin = 'pool'));
end $$;

create or replace function pool_intent(p_row pools) returns jsonb
language sql stable set search_path = public, pg_temp as $$
  select jsonb_build_object(
    'mode', p_row.mode,
    'hold', case when p_row.hold_until is null or p_row.hold_until > now() then p_row.hold end,
    'hold_until_ms', case when p_row.hold_until > now() then to_ms(p_row.hold_until) end,
    'version', p_row.intent_version)
$$;

-- One message of an operator. Null leaves a part as it is; p_release_hold gives control back to the policy.
create or replace function pool_set_intent(
  p_pool text, p_kind text, p_mode text default null, p_hold integer default null, p_hold_sec integer default null,
  p_release_hold boolean default false)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
begin
  update pools set
    mode = coalesce(p_mode, mode),
    hold = case when p_release_hold then null else coalesce(p_hold, hold) end,
    hold_until = case when p_release_hold then null
      when p_hold is not null then now() + make_interval(secs => p_hold_sec) else hold_until end,
    intent_version = intent_version + 1,
    updated_at = now()
  where name = p_pool
  returning * into row;
  if not found then
    raise exception 'pool % does not exist', one_line(p_pool) using errcode = 'PT404', hint = 'Start it: gpu-pool pool start.';
  end if;
  perform journal(p_pool, 'message.' || p_kind, concat_ws(', ', 'mode ' || row.mode,
    case when row.hold is null then 'the policy decides' else 'held at ' || row.hold end,
    'until ' || to_char(row.hold_until at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), null, null, pool_intent(row));
  return pool_intent(row);
end $$;

-- Everything a decision is made from, by one clock. p_full also renews the pool's record of unbroken observation;
-- otherwise the fleet is left out when it equals the one that the caller knows.
create or replace function pool_observe(p_pool text, p_known_fleet text, p_full boolean, p_poll_sec numeric) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
  fleet jsonb;
  fleet_hash text;
  queued bigint;
begin
  if p_full then
    update pools set
      observing_since = case when observed_at is null or observing_since is null
        or observed_at < now() - make_interval(secs => 2 * p_poll_sec + 10) then now() else observing_since end,
      observed_at = now()
    where name = p_pool returning * into row;
  else
    select * into row from pools where name = p_pool;
  end if;
  if row.name is null then
    raise exception 'pool % does not exist', one_line(p_pool) using errcode = 'PT404', hint = 'Start it: gpu-pool pool start.';
  end if;
  -- Counted up to what could matter to any decision, so that a million queued tasks cost no more than ten thousand.
  select count(*) into queued from (
    select from tasks where status = 'Queued' and gate = 'open' and pool = p_pool limit 10000) as head;
  select md5(string_agg(concat_ws(':', w.id, w.status, w.post_state, w.boot_stage, w.pod_id, to_ms(w.last_released_at),
      w.last_signal, to_ms(w.last_signal_at), a.id), ',' order by w.id)),
    coalesce(jsonb_agg(jsonb_build_object(
      'id', w.id, 'status', w.status, 'origin', w.origin, 'pod_id', w.pod_id, 'post_state', w.post_state,
      'created_ms', to_ms(w.created_at), 'ready_ms', to_ms(w.ready_at), 'heartbeat_ms', to_ms(w.last_heartbeat),
      'released_ms', to_ms(w.last_released_at), 'boot_stage', w.boot_stage, 'boot_stage_ms', to_ms(w.boot_stage_at),
      'signal', w.last_signal, 'signal_ms', to_ms(w.last_signal_at), 'cost_per_hour_usd', w.cost_per_hr_usd,
      'task', case when a.id is not null then jsonb_build_object(
        'id', a.task_id, 'started_ms', to_ms(a.started_at), 'progress_ms', to_ms(a.progress_at),
        'progress', a.progress, 'stuck_timeout_sec', tt.stuck_timeout_sec) end
    ) order by w.id), '[]')
  into fleet_hash, fleet
  from workers w
  left join task_attempts a on a.worker_id = w.id and a.ended_at is null
  left join tasks t on t.id = a.task_id
  left join task_types tt on tt.name = t.task_type
  where w.pool = p_pool and w.gone_at is null;
  return jsonb_build_object(
    'now_ms', to_ms(clock_timestamp()),
    'observing_since_ms', to_ms(row.observing_since),
    'intent', pool_intent(row),
    'config', row.config,
    'watch_id', row.watch_id,
    'queued', queued,
    'fleet_hash', coalesce(fleet_hash, 'empty'),
    'fleet', case when p_full or coalesce(fleet_hash, 'empty') is distinct from p_known_fleet then fleet end);
end $$;

-- Journals a decision before it is acted on, and notes which workers are being told what, so that the next
-- observation does not tell them again.
create or replace function pool_record_decision(
  p_pool text, p_decision_id text, p_kind text, p_reason text, p_details jsonb, p_signals jsonb default '[]',
  p_watch_id text default null)
returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_watch_id is not null and not exists (select from pools where name = p_pool and watch_id = p_watch_id for share) then
    raise exception 'another watch decides for pool % now', p_pool using errcode = 'PT409';
  end if;
  update workers w set last_signal = s.signal, last_signal_at = clock_timestamp()
  from jsonb_to_recordset(p_signals) as s(worker text, signal text)
  where w.id = s.worker;
  perform journal(p_pool, p_kind, p_reason, null, p_decision_id, p_details);
end $$;

-- From now on only this watch decides for the pool: an older one whose workflow was ended under it may still be running.
create or replace function pool_begin_watch(p_pool text, p_watch_id text) returns void
language sql security definer set search_path = public, pg_temp as $$
  update pools set watch_id = p_watch_id where name = p_pool
$$;

-- Books up to p_count spawning workers under MAX and under the intent that the decision saw. The same decision books once.
create or replace function reserve_workers(
  p_pool text, p_decision_id text, p_count integer, p_max integer, p_intent_version bigint, p_instance_type text)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
  present integer;
  booked text[];
  outcome text := 'reserved';
begin
  select * into row from pools where name = p_pool for update;
  select array_agg(id order by id) into booked from workers where decision_id = p_decision_id;
  if booked is not null then
    return jsonb_build_object('outcome', 'already_reserved', 'workers', to_jsonb(booked));
  end if;
  select count(*) into present from workers
  where pool = p_pool and gone_at is null and status in ('spawning', 'active') and origin = 'pool';
  if row.intent_version <> p_intent_version then
    outcome := 'stale_intent';
  else
    with added as (
      insert into workers (id, pool, decision_id, instance_type)
      select p_pool || '-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 8), p_pool, p_decision_id, p_instance_type
      from generate_series(1, least(p_count, p_max - present))
      returning id
    )
    select coalesce(array_agg(id order by id), '{}') into booked from added;
  end if;
  perform journal(p_pool, 'workers.reserved', format('%s of %s asked (%s present, at most %s): %s',
    coalesce(cardinality(booked), 0), p_count, present, p_max, outcome), null, p_decision_id,
    jsonb_build_object('workers', to_jsonb(coalesce(booked, '{}')), 'outcome', outcome));
  return jsonb_build_object('outcome', outcome, 'workers', to_jsonb(coalesce(booked, '{}')));
end $$;

create or replace function worker_load(p_worker_id text) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  select jsonb_build_object(
    'now_ms', to_ms(clock_timestamp()), 'id', w.id, 'pool', w.pool, 'status', w.status, 'pod_id', w.pod_id,
    'post_state', w.post_state, 'posted_ms', to_ms(w.posted_at), 'created_ms', to_ms(w.created_at),
    'ready_ms', to_ms(w.ready_at), 'boot_stage', w.boot_stage, 'boot_stage_ms', to_ms(w.boot_stage_at),
    'terminating_ms', to_ms(w.terminating_at), 'gone_ms', to_ms(w.gone_at), 'status_reason', w.status_reason,
    'config', (select config from pools where name = w.pool),
    'busy', exists (select from task_attempts a where a.worker_id = w.id and a.ended_at is null))
  from workers w where w.id = p_worker_id
$$;

-- Elects the one poster of this name. The credential's hash is stored before the pod can exist.
create or replace function worker_begin_post(p_worker_id text, p_token_hash text, p_lifetime_sec integer) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update workers set post_state = 'posting', posted_at = now(), token_hash = p_token_hash,
    token_expires_at = now() + make_interval(secs => p_lifetime_sec), boot_stage = 'posting', boot_stage_at = now()
  where id = p_worker_id and status = 'spawning' and post_state is null and gone_at is null;
  return found;
end $$;

create or replace function worker_record_pod(
  p_worker_id text, p_pod_id text, p_cost_per_hr_usd numeric, p_created_at timestamptz, p_adopted boolean)
returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  update workers set post_state = 'posted', pod_id = p_pod_id, cost_per_hr_usd = p_cost_per_hr_usd,
    pod_created_at = coalesce(p_created_at, posted_at, now()),
    boot_stage = case when ready_at is null then 'created' else boot_stage end,
    boot_stage_at = case when ready_at is null then now() else boot_stage_at end
  where id = p_worker_id and pod_id is distinct from p_pod_id
  returning * into worker;
  if found then
    perform journal(worker.pool, case when p_adopted then 'pod.adopted' else 'pod.created' end,
      format('pod %s at $%s an hour', p_pod_id, p_cost_per_hr_usd), p_worker_id);
  end if;
end $$;

-- A definite refusal re-arms the name: nothing was created.
create or replace function worker_rearm_post(p_worker_id text, p_reason text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  update workers set post_state = null, token_hash = null where id = p_worker_id and post_state = 'posting'
  returning * into worker;
  if found then
    perform journal(worker.pool, 'pod.refused', p_reason, p_worker_id);
  end if;
end $$;

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

create or replace function worker_boot_stage(p_worker_id text, p_stage text) returns void
language sql security definer set search_path = public, pg_temp as $$
  update workers set boot_stage = p_stage, boot_stage_at = now()
  where id = p_worker_id and status = 'spawning' and boot_stage <> p_stage
$$;

-- From this moment claims refuse the worker. Its row is locked first and its leases are looked for in a later
-- statement, which sees a claim that this lock had to wait for. Answers drained, refused_busy or not_living.
create or replace function drain_worker(p_worker_id text, p_reason text, p_only_idle boolean) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  busy boolean;
  outcome text := 'drained';
begin
  select * into worker from workers where id = p_worker_id for update;
  select exists (select from task_attempts where worker_id = p_worker_id and ended_at is null) into busy;
  if worker.status is null or worker.status in ('terminated', 'error') or worker.gone_at is not null then
    outcome := 'not_living';
  elsif worker.status = 'terminating' then
    return jsonb_build_object('outcome', 'drained', 'busy', busy);
  elsif busy and p_only_idle then
    outcome := 'refused_busy';
    update workers set last_signal = 'ready' where id = p_worker_id;
  else
    update workers set status = 'terminating', status_reason = p_reason, terminating_at = now(),
      last_signal = case when busy then last_signal else 'released' end
    where id = p_worker_id;
  end if;
  perform journal(coalesce(worker.pool, '?'), 'worker.drain', format('%s: %s', outcome, p_reason), p_worker_id, null,
    jsonb_build_object('outcome', outcome, 'busy', busy));
  return jsonb_build_object('outcome', outcome, 'busy', busy);
end $$;

create or replace function close_worker_leases(p_worker_id text, p_cause text, p_reason text) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease bigint;
  closed integer := 0;
begin
  perform from workers where id = p_worker_id for update;
  for lease in select id from task_attempts where worker_id = p_worker_id and ended_at is null loop
    perform close_attempt(lease, p_cause, p_reason);
    closed := closed + 1;
  end loop;
  return closed;
end $$;

-- The verdict of a failure. Its evidence is looked at again under the lock: a heartbeat or a first sign of life since
-- then refuses it. p_heartbeat_ms: the last beat that the verdict knew; p_require_spawning: a spawn deadline.
create or replace function fail_worker(
  p_worker_id text, p_lease_cause text, p_reason text, p_heartbeat_ms bigint default null,
  p_require_spawning boolean default false)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  outcome text := 'failed';
  closed integer := 0;
begin
  select * into worker from workers where id = p_worker_id for update;
  if worker.status is null or worker.status in ('terminated', 'error') or worker.gone_at is not null then
    outcome := 'not_living';
  elsif p_require_spawning and worker.status <> 'spawning' then
    outcome := 'refused_ready';
  elsif p_heartbeat_ms is not null and to_ms(worker.last_heartbeat) > p_heartbeat_ms then
    outcome := 'refused_recovered';
    update workers set last_signal = 'ready' where id = p_worker_id;
  else
    update workers set status = 'error', status_reason = p_reason, terminating_at = coalesce(terminating_at, now())
    where id = p_worker_id;
    closed := close_worker_leases(p_worker_id, p_lease_cause, p_reason);
  end if;
  perform journal(coalesce(worker.pool, '?'), 'worker.fail', format('%s: %s', outcome, p_reason), p_worker_id, null,
    jsonb_build_object('outcome', outcome, 'leases_closed', closed));
  return jsonb_build_object('outcome', outcome, 'leases_closed', closed);
end $$;

-- The end of the shutdown deadline: whatever the worker still holds goes back to the queue.
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

create or replace function worker_deleted(p_worker_id text) returns void
language sql security definer set search_path = public, pg_temp as $$
  update workers set deleted_at = now() where id = p_worker_id and deleted_at is null
$$;

-- The provider was seen to have no such pod: the row ends, its credential dies, its cost is booked.
create or replace function worker_gone(p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
begin
  perform close_worker_leases(p_worker_id, 'host_lost', 'the pod is gone');
  update workers set
    status = case when status = 'error' then 'error' else 'terminated' end,
    gone_at = now(), token_hash = null,
    cost_usd = case when pod_created_at is null then 0 else
      round(cost_per_hr_usd * extract(epoch from coalesce(deleted_at, now()) - pod_created_at)::numeric / 3600, 6) end
  where id = p_worker_id and gone_at is null
  returning * into worker;
  if found then
    perform journal(worker.pool, 'worker.gone', format('%s after %s s; cost $%s', worker.status,
      round(extract(epoch from now() - worker.created_at)), coalesce(worker.cost_usd, 0)), p_worker_id);
  end if;
  return jsonb_build_object('cost_usd', worker.cost_usd);
end $$;
