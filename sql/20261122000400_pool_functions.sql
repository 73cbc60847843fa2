-- Functions that the pool's activities call (service role only). Each function checks its conditions again in one transaction
-- and journals the outcome.

alter table pools add column if not exists should_run boolean not null default false;
comment on column pools.should_run is
  'Its workflow was started without an end and was not shut down: the janitor starts it again if it is lost.';
create or replace trigger pools_reserved before insert or update on pools for each row
when (is_reserved_pool(new.name) and (new.mode <> 'closing' or new.should_run))
execute function refuse_reserved_pool('pool', 'personal');

alter table pools
  add column if not exists desired_workers integer,
  add column if not exists min_workers integer,
  add column if not exists max_workers integer;
comment on column pools.desired_workers is 'The size that the newest watch wants; null: none has looked yet. For metrics.';
comment on column pools.min_workers is 'MIN as it is in force now, with schedules; max_workers likewise.';

-- Creates the pool's row on its first start. A given config overrides the stored one. A pool that was shut down starts
-- as normal. Answers the living workers. The new intent version refuses reservations that an earlier run decided,
-- because no workflow would start those workers. p_start, p_run: the first run since this start, and the one that calls.
-- A second call for the same start (a retry, or a workflow that was reset) changes neither config nor mode.
-- p_should_run: the janitor starts the pool again if its workflow is lost; null leaves that as it is. p_woken: nobody gave
-- an order, so a pool that was shut down stays so.
create or replace function pool_open(
  p_pool text, p_config jsonb default '{}', p_start text default null, p_run text default null,
  p_should_run boolean default null, p_woken boolean default false)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  is_known boolean := exists (select from pools where name = p_pool and started_by = p_start);
begin
  insert into pools (name, config, started_by, signals_run, should_run)
  values (p_pool, coalesce(p_config, '{}'), p_start, p_run, coalesce(p_should_run, false))
  on conflict (name) do update set updated_at = now(), intent_version = pools.intent_version + 1,
    config = case when is_known then pools.config else pools.config || excluded.config end,
    mode = case when pools.mode = 'closing' and not is_known and not p_woken then 'normal' else pools.mode end,
    should_run = case when is_known then pools.should_run else coalesce(p_should_run, pools.should_run) end,
    started_by = p_start,
    signals_run = case when is_known then pools.signals_run else p_run end,
    signals_written = case when is_known or pools.signals_run = p_run then pools.signals_written else 0 end;
  return jsonb_build_object('living', (
    select coalesce(jsonb_agg(id order by id), '[]') from workers
    where pool = p_pool and gone_at is null and origin = 'pool'));
end $$;
select grant_to_service('pool_open(text, jsonb, text, text, boolean, boolean)');

create or replace function pool_intent(p_row pools) returns jsonb
language sql stable set search_path = public, pg_temp as $$
  select jsonb_build_object(
    'mode', p_row.mode,
    'hold', case when p_row.hold_until is null or p_row.hold_until > now() then p_row.hold end,
    'hold_until_ms', case when p_row.hold_until > now() then to_ms(p_row.hold_until) end,
    'version', p_row.intent_version)
$$;
select grant_to_service('pool_intent(pools)');

-- Changes the state of the breaker, if the new state may follow the present one. The alert stays open until the breaker
-- is closed; a failed probe does not open another one.
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
      perform open_alert('breaker_open', p_pool, p_pool, p_reason);
    elsif p_state = 'closed' then
      perform close_alert('breaker_open', p_pool);
    end if;
    return true;
  end if;
  return false;
end $$;
select grant_to_service('pool_turn_breaker(text, text, text, text)');

-- Stores one message of an operator. Null leaves a part unchanged; p_release_hold gives control back to the policy. The
-- kind resume also closes the breaker.
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
    should_run = should_run and coalesce(p_mode, mode) <> 'closing',
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
    raise exception 'pool % does not exist', one_line(p_pool) using errcode = 'PT404', hint = 'See gpu-pool pool list.';
  end if;
  intent := pool_intent(row);
  perform journal(p_pool, 'message.' || p_kind, concat_ws(', ', 'mode ' || row.mode,
    coalesce('held at ' || (intent ->> 'hold'), 'the policy decides'),
    'until ' || to_char(to_timestamp((intent ->> 'hold_until_ms')::numeric / 1000) at time zone 'utc',
      'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
    null, null, intent);
  if breaker_before <> row.breaker then
    perform journal(p_pool, 'breaker.closed', 'an operator resumed the pool', null, null,
      jsonb_build_object('before', breaker_before));
    perform close_alert('breaker_open', p_pool);
  end if;
  return intent;
end $$;
select grant_to_service('pool_set_intent(text, text, text, integer, integer, boolean)');

-- Merges settings into the pool's own; null removes one. Answers the pool's own settings after the change. p_by: who sent
-- it; null: not known.
create or replace function pool_reconfigure(p_pool text, p_patch jsonb, p_by text default null) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  merged jsonb;
begin
  if p_patch is null or jsonb_typeof(p_patch) <> 'object' then
    raise exception 'p_patch: expected an object of settings' using errcode = 'PT400';
  end if;
  select (config || p_patch) - array(select key from jsonb_each(p_patch) where jsonb_typeof(value) = 'null') into merged
  from pools where name = p_pool for no key update;
  if not found then
    raise exception 'pool % does not exist', one_line(p_pool) using errcode = 'PT404', hint = 'See gpu-pool pool list.';
  end if;
  if (merged ->> 'minActiveGpus')::numeric > (merged ->> 'maxActiveGpus')::numeric then
    raise exception 'minActiveGpus=% is above maxActiveGpus=%', merged ->> 'minActiveGpus', merged ->> 'maxActiveGpus'
      using errcode = 'PT400', hint = 'These are the pool''s own settings with this change in place; change both together.';
  end if;
  update pools set config = merged, intent_version = intent_version + 1, updated_at = now() where name = p_pool;
  perform journal(p_pool, 'message.reconfigure', coalesce('set ' || nullif((
      select string_agg(key || case when jsonb_typeof(value) = 'null' then ' back to the environment''s'
        else '=' || left(value::text, 100) end, ', ' order by key) from jsonb_each(p_patch)), ''), 'nothing to set')
      || coalesce(' by ' || one_line(p_by), ''),
    null, null, jsonb_build_object('patch', p_patch, 'config', merged, 'by', p_by));
  return merged;
end $$;
select grant_to_service('pool_reconfigure(text, jsonb, text)');

-- Journals a decision before anything acts on it, and records which workers get which signal, so that the next
-- observation does not signal them again. p_breaker: a new state of the breaker that is part of the decision.
create or replace function pool_record_decision(
  p_pool text, p_decision_id text, p_kind text, p_reason text, p_details jsonb, p_signals jsonb default '[]',
  p_watch_id text default null, p_breaker text default null, p_breaker_reason text default null)
returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  one record;
begin
  if p_watch_id is not null and not exists (
    select from pools where name = p_pool and watch_id = p_watch_id for no key update)
  then
    raise exception 'another watch decides for pool % now', one_line(p_pool) using errcode = 'PT409';
  end if;
  begin
    update workers w set last_signal = s.signal, last_signal_at = clock_timestamp()
    from jsonb_to_recordset(p_signals) as s(worker text, signal text)
    where w.id = s.worker;
  exception when others or assert_failure then
    for one in select * from jsonb_to_recordset(p_signals) as s(worker text, signal text) order by worker loop
      begin
        update workers set last_signal = one.signal, last_signal_at = clock_timestamp() where id = one.worker;
      exception when others or assert_failure then
        perform set_row_aside(one.worker, p_pool, 'a signal to a worker cannot be noted', sqlstate, sqlerrm);
      end;
    end loop;
  end;
  perform journal(p_pool, p_kind, p_reason, null, p_decision_id, p_details);
  if p_breaker is not null then
    perform pool_turn_breaker(p_pool, p_breaker, coalesce(p_breaker_reason, p_reason), p_decision_id);
  end if;
end $$;
select grant_to_service('pool_record_decision(text, text, text, text, jsonb, jsonb, text, text, text)');

-- Only this watch decides for the pool from now on. An older watch may still run although its workflow has ended. If
-- several processes send their settings, the one that started last wins. A start time in the future counts as now.
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
select grant_to_service('pool_begin_watch(text, text, jsonb, timestamptz)');

-- The size that this watch wants, if it is the one that decides.
create or replace function pool_note_size(p_pool text, p_watch_id text, p_desired integer, p_min integer, p_max integer)
returns void
language sql security definer set search_path = public, pg_temp as $$
  update pools set desired_workers = p_desired, min_workers = p_min, max_workers = p_max
  where name = p_pool and watch_id = p_watch_id
$$;
select grant_to_service('pool_note_size(text, text, integer, integer, integer)');

-- While most workers are silent at the same time, observations are not good. Ages count anew from the end of the
-- silence.
create or replace function pool_mark_mass_silence(p_pool text, p_lasts boolean) returns void
language sql security definer set search_path = public, pg_temp as $$
  update pools set mass_silence_since = case when p_lasts then coalesce(mass_silence_since, now()) end,
    observing_since = case when p_lasts then observing_since else now() end
  where name = p_pool
$$;
select grant_to_service('pool_mark_mass_silence(text, boolean)');

