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
-- begins as normal. Answers who lives; what an earlier run decided books nobody any more, who would have no workflow.
create or replace function pool_open(p_pool text, p_config jsonb default '{}') returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
begin
  insert into pools (name, config) values (p_pool, coalesce(p_config, '{}'))
  on conflict (name) do update set config = pools.config || excluded.config, updated_at = now(),
    intent_version = pools.intent_version + 1,
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

-- While most workers are silent together, nobody listens in effect: ages count anew from when it is over.
create or replace function pool_mark_mass_silence(p_pool text, p_lasts boolean) returns void
language sql security definer set search_path = public, pg_temp as $$
  update pools set mass_silence_since = case when p_lasts then coalesce(mass_silence_since, now()) end,
    observing_since = case when p_lasts then observing_since else now() end
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
