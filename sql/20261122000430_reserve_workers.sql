-- How spawning workers are booked (service role only).

-- Reserves up to p_count spawning workers within p_max, within the account's ceilings, as far as the breaker allows,
-- and only under the intent that the decision saw. The same decision reserves once. While the account has no funds, one
-- worker is reserved over all pools in p_no_funds_probe_min minutes. p_price_usd: what one costs an hour by the catalog, so
-- that the ceilings hold before the first pod; null: what the last one cost. p_task_types: what such a worker can do, by its
-- launch profile; null: anything. Answers reserved, already_reserved, stale_intent,
-- breaker_open, breaker_half_open (a probe is under way), no_funds or over_budget.
create or replace function reserve_workers(
  p_pool text, p_decision_id text, p_count integer, p_max integer, p_intent_version bigint, p_instance_type text,
  p_max_hourly_usd numeric default null, p_daily_usd numeric default null, p_no_funds_probe_min numeric default 5,
  p_price_usd numeric default null, p_task_types text[] default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
  present integer;
  spawning integer;
  spend record;
  last_try timestamptz;
  room integer := p_count;
  known text[];
  booked text[];
  outcome text := 'reserved';
  figures jsonb;
  note text;
begin
  -- One request at a time over all pools, so that each one counts what the one before has reserved.
  if p_max_hourly_usd is not null or p_daily_usd is not null then
    perform pg_advisory_xact_lock(hashtextextended('gpu-pool: spend of the account', 0));
  end if;
  select * into row from pools where name = p_pool for update;
  -- A workflow that was reset may ask for a decision of long ago: only what lives of it is answered.
  select array_agg(id order by id), array_agg(id order by id) filter (where gone_at is null) into known, booked
  from workers where decision_id = p_decision_id;
  if known is not null then
    return jsonb_build_object('outcome', 'already_reserved', 'workers', to_jsonb(coalesce(booked, '{}')),
      'now_ms', to_ms(now()));
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
  select tried_at into last_try from no_funds for update;
  if outcome = 'reserved' and last_try is not null then
    room := least(room, 1);
    outcome := case when last_try > now() - make_interval(secs => p_no_funds_probe_min::float8 * 60) then 'no_funds'
      else outcome end;
  end if;
  if outcome = 'reserved' and (p_max_hourly_usd is not null or p_daily_usd is not null) then
    select * into spend from account_spend(p_pool);
    spend.hourly_usd := spend.hourly_usd + spend.unpriced * coalesce(p_price_usd, 0);
    spend.price_usd := coalesce(p_price_usd, spend.price_usd);
    room := least(room, case
      when spend.today_usd >= p_daily_usd or spend.hourly_usd >= p_max_hourly_usd then 0
      when spend.price_usd is null then case when spend.unpriced > 0 then 0 else 1 end
      when p_max_hourly_usd is null then room
      else floor((p_max_hourly_usd - spend.hourly_usd) / spend.price_usd) end)::integer;
    figures := to_jsonb(spend) || jsonb_build_object('max_hourly_usd', p_max_hourly_usd, 'daily_usd', p_daily_usd);
    outcome := case when room <= 0 then 'over_budget' else outcome end;
    note := concat_ws(', ', '$' || round(spend.hourly_usd, 2) || ' an hour' || coalesce(' of at most $' || p_max_hourly_usd, ''),
      '$' || round(spend.today_usd, 2) || ' today' || coalesce(' of at most $' || p_daily_usd, ''),
      coalesce('$' || trim_scale(spend.price_usd) || ' a worker', 'price not known'));
  end if;
  booked := '{}';
  if outcome = 'reserved' then
    with added as (
      insert into workers (id, pool, decision_id, instance_type, expected_usd_per_hr, task_types)
      select p_pool || '-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 8), p_pool, p_decision_id, p_instance_type,
        p_price_usd, stored_task_types(p_task_types)
      from generate_series(1, least(room, p_max - present))
      returning id
    )
    select coalesce(array_agg(id order by id), '{}') into booked from added;
    update no_funds set tried_at = now() where cardinality(booked) > 0;
  end if;
  perform journal(p_pool, 'workers.reserved', format('%s of %s asked (%s): %s', cardinality(booked), p_count,
    concat_ws('; ', format('%s present, at most %s', present, p_max), note), outcome), null, p_decision_id,
    jsonb_strip_nulls(jsonb_build_object('workers', to_jsonb(booked), 'outcome', outcome, 'breaker', row.breaker,
      'spend', figures)));
  return jsonb_build_object('outcome', outcome, 'workers', to_jsonb(booked), 'now_ms', to_ms(now()));
end $$;
select grant_to_service('reserve_workers(text, text, int, int, bigint, text, numeric, numeric, numeric, numeric, text[])');
