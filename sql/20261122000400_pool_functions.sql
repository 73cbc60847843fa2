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
