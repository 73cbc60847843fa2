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

-- Another state of the breaker, where it follows from the present one. Its opening is an alert; that a probe fails again is
-- none.
create or replace function pool_turn_breaker(p_pool text, p_state text, p_reason text, p_decision_id text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  before text;
begin
  select breaker into before from pools where name = p_pool for no key update;
  if (before, p_state) in (('closed', 'open'), ('open', 'half_open'), ('half_open', 'open'), ('half_open', 'closed')) then
    update pools set breaker = p_state, breaker_since = clock_timestamp(), updated_at = now() where name = p_pool;
    perform journal(p_pool, 'breaker.' || p_state, p_reason, null, p_decision_id, jsonb_build_object('before', before));
    if before = 'closed' then
      perform journal(p_pool, 'alert.breaker', p_reason, null, p_decision_id);
    end if;
    return true;
  end if;
  return false;
end $$;

-- One message of an operator. Null leaves a part as it is; p_release_hold gives control back to the policy. A resume also
-- closes the breaker.
create or replace function pool_set_intent(
  p_pool text, p_kind text, p_mode text default null, p_hold integer default null, p_hold_sec integer default null,
  p_release_hold boolean default false)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
  intent jsonb;
  breaker_before text;
begin
  select breaker into breaker_before from pools where name = p_pool for no key update;
  update pools set
    mode = coalesce(p_mode, mode),
    hold = case when p_release_hold then null else coalesce(p_hold, hold) end,
    hold_until = case when p_release_hold then null
      when p_hold is not null then now() + make_interval(secs => p_hold_sec) else hold_until end,
    intent_version = intent_version + 1,
    breaker = case when p_kind = 'resume' then 'closed' else breaker end,
    breaker_since = case when p_kind = 'resume' and breaker <> 'closed' then clock_timestamp() else breaker_since end,
    updated_at = now()
  where name = p_pool
  returning * into row;
  if not found then
    raise exception 'pool % does not exist', one_line(p_pool) using errcode = 'PT404', hint = 'Start it: gpu-pool pool start.';
  end if;
  intent := pool_intent(row);
  perform journal(p_pool, 'message.' || p_kind, concat_ws(', ', 'mode ' || row.mode,
    coalesce('held at ' || (intent ->> 'hold'), 'the policy decides'),
    'until ' || to_char(to_timestamp((intent ->> 'hold_until_ms')::numeric / 1000) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
    null, null, intent);
  if breaker_before <> row.breaker then
    perform journal(p_pool, 'breaker.closed', 'an operator resumed the pool', null, null,
      jsonb_build_object('before', breaker_before));
  end if;
  return intent;
end $$;

-- Lays settings over the pool's own, null takes one away. Answers the pool's own settings as they now are.
create or replace function pool_reconfigure(p_pool text, p_patch jsonb) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  laid jsonb;
begin
  if p_patch is null or jsonb_typeof(p_patch) <> 'object' then
    raise exception 'p_patch: expected an object of settings' using errcode = 'PT400';
  end if;
  select (config || p_patch) - array(select key from jsonb_each(p_patch) where jsonb_typeof(value) = 'null') into laid
  from pools where name = p_pool for no key update;
  if not found then
    raise exception 'pool % does not exist', one_line(p_pool) using errcode = 'PT404', hint = 'Start it: gpu-pool pool start.';
  end if;
  if (laid ->> 'minActiveGpus')::numeric > (laid ->> 'maxActiveGpus')::numeric then
    raise exception 'minActiveGpus=% is above maxActiveGpus=%', laid ->> 'minActiveGpus', laid ->> 'maxActiveGpus'
      using errcode = 'PT400', hint = 'These are the pool''s own settings with this change in place; change both together.';
  end if;
  update pools set config = laid, intent_version = intent_version + 1, updated_at = now() where name = p_pool;
  perform journal(p_pool, 'message.reconfigure', coalesce('set ' || nullif((
      select string_agg(key || case when jsonb_typeof(value) = 'null' then ' back to the environment''s' else '=' || left(value::text, 100) end,
        ', ' order by key) from jsonb_each(p_patch)), ''), 'nothing to set'),
    null, null, jsonb_build_object('patch', p_patch, 'config', laid));
  return laid;
end $$;

-- What the account's pods cost: all pools, every pod that was not seen gone. One whose price is not known yet counts with
-- its pool's last one, else with the dearest pool's; so does a pool that never rented. todayUsd: since midnight UTC, of each worker its part of the day.
create or replace function account_spend(
  p_pool text, out hourly_usd numeric, out today_usd numeric, out price_usd numeric, out unpriced bigint)
language sql stable security definer set search_path = public, pg_temp as $$
  with midnight as (select date_trunc('day', now(), 'UTC') as at),
  paid as (
    select p.name, (
      select w.cost_per_hr_usd from workers w
      where w.pool = p.name and w.origin = 'pool' and w.cost_per_hr_usd is not null order by w.created_at desc limit 1) as usd
    from pools p
  ),
  prices as materialized (select name, coalesce(usd, max(usd) over ()) as usd from paid),
  living as (
    select coalesce(sum(coalesce(w.cost_per_hr_usd, p.usd, 0)), 0) as hourly,
      coalesce(sum(w.cost_per_hr_usd::float8 / 3600 * greatest(0,
        date_part('epoch', now() - greatest(w.pod_created_at, midnight.at)))), 0) as today,
      count(*) filter (where w.cost_per_hr_usd is null and p.usd is null) as unpriced
    from workers w join prices p on p.name = w.pool cross join midnight
    where w.gone_at is null and w.origin = 'pool'
  ),
  gone as (
    -- In floating point: many times as fast, where thousands come and go in a day.
    select coalesce(sum(cost_per_hr_usd::float8 / 3600 * greatest(0,
      date_part('epoch', coalesce(deleted_at, gone_at) - greatest(pod_created_at, midnight.at)))), 0) as today
    from workers cross join midnight
    where gone_at >= midnight.at and gone_at is not null and origin = 'pool'
  )
  select round(living.hourly, 4), round((living.today + gone.today)::numeric, 6), (select usd from prices where name = p_pool), living.unpriced
  from living cross join gone
$$;

-- Changes whenever the fleet does, save for what changes all the time, heartbeats and progress, and for a task that came and
-- went since the last look: it costs a look at every worker's last attempt, and the next full pass tells it.
create or replace function pool_fleet_hash(p_pool text) returns text
language sql stable security definer set search_path = public, pg_temp as $$
  select coalesce(md5(string_agg(concat_ws(':', w.id, w.status, w.post_state, w.boot_stage, w.pod_id,
    w.last_signal, extract(epoch from w.last_signal_at), a.lease_token), ',' order by w.id)), 'empty')
  from workers w
  left join task_attempts a on a.worker_id = w.id and a.ended_at is null
  where w.pool = p_pool and w.gone_at is null
$$;

-- Everything a decision is made from, by one clock. p_full also renews the pool's record of unbroken observation;
-- otherwise the fleet is left out when it equals the one that the caller knows, and the spend unless it is asked for.
-- The breaker's counts are those of p_failure_window_min, or of the last p_min_boots of a day where these are more: the boots
-- of a small pool fail one spawn deadline after the other.
create or replace function pool_observe(
  p_pool text, p_known_fleet text, p_full boolean, p_poll_sec numeric, p_failure_window_min numeric default 5,
  p_spend boolean default false, p_min_boots integer default 0)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
  fleet jsonb;
  fleet_hash text;
  queued bigint;
  counting_from timestamptz;
  boots_failed bigint;
  boots_ready bigint;
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
  counting_from := greatest(row.breaker_since, now() - make_interval(secs => p_failure_window_min * 60));
  select count(*) into boots_failed from workers
  where pool = p_pool and origin = 'pool' and failed_at > counting_from and ready_at is null;
  select count(*) into boots_ready from workers where pool = p_pool and origin = 'pool' and ready_at > counting_from;
  if boots_failed + boots_ready < p_min_boots then
    counting_from := greatest(row.breaker_since, now() - interval '1 day');
    select count(*) filter (where failed), count(*) filter (where not failed) into boots_failed, boots_ready from (
      select failed from (
        (select true as failed, failed_at as ended_at from workers
          where pool = p_pool and origin = 'pool' and failed_at > counting_from and ready_at is null
          order by failed_at desc limit p_min_boots)
        union all
        (select false, ready_at from workers where pool = p_pool and origin = 'pool' and ready_at > counting_from
          order by ready_at desc limit p_min_boots)) as boots
      order by ended_at desc limit p_min_boots) as latest;
  end if;
  -- By itself first, and without to_ms, which is a call for each value: most probes find the fleet that is known.
  if not p_full then
    fleet_hash := pool_fleet_hash(p_pool);
  end if;
  if p_full or fleet_hash is distinct from p_known_fleet then
    select pool_fleet_hash(p_pool), coalesce(jsonb_agg(to_jsonb(f) order by f.id), '[]') into fleet_hash, fleet
    from (
      select w.id, w.status, w.origin, w.pod_id, w.post_state, w.boot_stage, w.last_signal as signal,
        w.cost_per_hr_usd as cost_per_hour_usd, (extract(epoch from w.created_at) * 1000)::bigint as created_ms,
        (extract(epoch from w.ready_at) * 1000)::bigint as ready_ms,
        (extract(epoch from w.last_heartbeat) * 1000)::bigint as heartbeat_ms,
        (extract(epoch from w.vram_at) * 1000)::bigint as vram_ms,
        case when a.task_id is null then (
          select (extract(epoch from max(ended_at)) * 1000)::bigint from task_attempts where worker_id = w.id) end as released_ms,
        (extract(epoch from w.boot_stage_at) * 1000)::bigint as boot_stage_ms,
        (extract(epoch from w.last_signal_at) * 1000)::bigint as signal_ms,
        case when a.task_id is not null then jsonb_build_object(
          'id', a.task_id, 'started_ms', (extract(epoch from a.started_at) * 1000)::bigint,
          'progress_ms', (extract(epoch from a.progress_at) * 1000)::bigint,
          'progress', a.progress, 'stuck_timeout_sec', tt.stuck_timeout_sec) end as task
      from workers w
      left join task_attempts a on a.worker_id = w.id and a.ended_at is null
      left join tasks t on t.id = a.task_id
      left join task_types tt on tt.name = t.task_type
      where w.pool = p_pool and w.gone_at is null
    ) f;
  end if;
  return jsonb_build_object(
    'now_ms', to_ms(clock_timestamp()),
    'observing_since_ms', to_ms(row.observing_since),
    'intent', pool_intent(row),
    'config', row.config,
    'environment', row.environment,
    'watch_id', row.watch_id,
    'queued', queued,
    'breaker', jsonb_build_object('state', row.breaker, 'since_ms', to_ms(row.breaker_since),
      'failed', boots_failed, 'ready', boots_ready),
    'launched_last_minute', (select count(*) from workers
      where pool = p_pool and origin = 'pool' and created_at > now() - interval '1 minute'),
    'failed_recently', (select count(*) from workers
      where pool = p_pool and origin = 'pool' and failed_at > now() - interval '5 minutes'
        and failed_on in ('heartbeat', 'progress')),
    'spend', case when p_full or p_spend then (select to_jsonb(s) from account_spend(p_pool) s) end,
    'fleet_hash', fleet_hash,
    'fleet', fleet);
end $$;

-- Journals a decision before it is acted on, and notes which workers are being told what, so that the next
-- observation does not tell them again. p_breaker: a change of the breaker's state that was part of the decision.
create or replace function pool_record_decision(
  p_pool text, p_decision_id text, p_kind text, p_reason text, p_details jsonb, p_signals jsonb default '[]',
  p_watch_id text default null, p_breaker text default null, p_breaker_reason text default null)
returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_watch_id is not null and not exists (
    select from pools where name = p_pool and watch_id = p_watch_id for no key update)
  then
    raise exception 'another watch decides for pool % now', one_line(p_pool) using errcode = 'PT409';
  end if;
  update workers w set last_signal = s.signal, last_signal_at = clock_timestamp()
  from jsonb_to_recordset(p_signals) as s(worker text, signal text)
  where w.id = s.worker;
  perform journal(p_pool, p_kind, p_reason, null, p_decision_id, p_details);
  if p_breaker is not null then
    perform pool_turn_breaker(p_pool, p_breaker, coalesce(p_breaker_reason, p_reason), p_decision_id);
  end if;
end $$;

-- From now on only this watch decides for the pool: an older one whose workflow was ended under it may still be running.
-- Of the processes that tell their settings, the one that started last rules; a clock that runs ahead gains nothing.
create or replace function pool_begin_watch(
  p_pool text, p_watch_id text, p_environment jsonb default null, p_started_at timestamptz default null)
returns void
language sql security definer set search_path = public, pg_temp as $$
  update pools set watch_id = p_watch_id,
    environment = case when p_started_at >= coalesce(environment_at, '-infinity') and p_environment is not null
      then p_environment else environment end,
    environment_at = case when p_started_at >= coalesce(environment_at, '-infinity') and p_environment is not null
      then least(p_started_at, clock_timestamp()) else environment_at end
  where name = p_pool
$$;

-- Books up to p_count spawning workers under MAX, under the account's ceilings, as the breaker lets it, and under the intent
-- that the decision saw. The same decision books once. Answers reserved, already_reserved, stale_intent, breaker_open,
-- breaker_half_open (a probe is under way) or over_budget.
create or replace function reserve_workers(
  p_pool text, p_decision_id text, p_count integer, p_max integer, p_intent_version bigint, p_instance_type text,
  p_max_hourly_usd numeric default null, p_daily_usd numeric default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
  present integer;
  spawning integer;
  spend record;
  room integer := p_count;
  booked text[];
  outcome text := 'reserved';
  figures jsonb;
  note text;
begin
  -- Over all pools one request at a time: what it books is what the next one finds.
  if p_max_hourly_usd is not null or p_daily_usd is not null then
    perform pg_advisory_xact_lock(hashtextextended('gpu-pool: spend of the account', 0));
  end if;
  select * into row from pools where name = p_pool for update;
  select array_agg(id order by id) into booked from workers where decision_id = p_decision_id;
  if booked is not null then
    return jsonb_build_object('outcome', 'already_reserved', 'workers', to_jsonb(booked), 'now_ms', to_ms(now()));
  end if;
  select count(*), count(*) filter (where status = 'spawning') into present, spawning from workers
  where pool = p_pool and gone_at is null and status in ('spawning', 'active') and origin = 'pool';
  if row.intent_version <> p_intent_version then
    outcome := 'stale_intent';
  elsif row.breaker = 'open' then
    outcome := 'breaker_open';
  elsif row.breaker = 'half_open' then
    room := least(room, 1 - spawning);
    outcome := case when room <= 0 then 'breaker_half_open' else outcome end;
  end if;
  if outcome = 'reserved' and (p_max_hourly_usd is not null or p_daily_usd is not null) then
    select * into spend from account_spend(p_pool);
    room := least(room, case
      when spend.today_usd >= p_daily_usd or spend.hourly_usd >= p_max_hourly_usd then 0
      when p_max_hourly_usd is null then room
      when spend.price_usd is null then case when spend.unpriced > 0 then 0 else 1 end
      else floor((p_max_hourly_usd - spend.hourly_usd) / nullif(spend.price_usd, 0)) end)::integer;
    figures := to_jsonb(spend) || jsonb_build_object('max_hourly_usd', p_max_hourly_usd, 'daily_usd', p_daily_usd);
    outcome := case when room <= 0 then 'over_budget' else outcome end;
    note := concat_ws(', ', '$' || round(spend.hourly_usd, 2) || ' an hour' || coalesce(' of at most $' || p_max_hourly_usd, ''),
      '$' || round(spend.today_usd, 2) || ' today' || coalesce(' of at most $' || p_daily_usd, ''),
      coalesce('$' || trim_scale(spend.price_usd) || ' a worker', 'price not known'));
  end if;
  booked := '{}';
  if outcome = 'reserved' then
    with added as (
      insert into workers (id, pool, decision_id, instance_type)
      select p_pool || '-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 8), p_pool, p_decision_id, p_instance_type
      from generate_series(1, least(room, p_max - present))
      returning id
    )
    select coalesce(array_agg(id order by id), '{}') into booked from added;
  end if;
  perform journal(p_pool, 'workers.reserved', format('%s of %s asked (%s): %s', cardinality(booked), p_count,
    concat_ws('; ', format('%s present, at most %s', present, p_max), note), outcome), null, p_decision_id,
    jsonb_strip_nulls(jsonb_build_object('workers', to_jsonb(booked), 'outcome', outcome, 'breaker', row.breaker, 'spend', figures)));
  return jsonb_build_object('outcome', outcome, 'workers', to_jsonb(booked), 'now_ms', to_ms(now()));
end $$;
