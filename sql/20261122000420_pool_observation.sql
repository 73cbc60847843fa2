-- The observation behind each decision: the spend, the fleet and the queue at one moment (service role only).

-- The cost of the account's pods: of all pools and all jobs, every pod that was not seen gone. A pod of unknown price counts
-- with the catalog's price for it, else with the last price of its pool, or with the highest of the other pools if its pool
-- has none. A price of 0 is an unknown price: no pod is free. today_usd counts from midnight UTC: the part of each worker's
-- life that lies in this day.
create or replace function account_spend(
  p_pool text, out hourly_usd numeric, out today_usd numeric, out price_usd numeric, out unpriced bigint)
language sql stable security definer set search_path = public, pg_temp as $$
  with midnight as (select date_trunc('day', now(), 'UTC') as at),
  paid as (
    select p.name, coalesce((
      select w.cost_per_hr_usd from workers w
      where w.pool = p.name and w.origin = 'pool' and w.cost_per_hr_usd > 0 order by w.created_at desc limit 1), (
      select max(w.expected_usd_per_hr) from workers w
      where w.pool = p.name and w.origin = 'pool' and w.gone_at is null)) as usd
    from pools p
  ),
  prices as materialized (select name, coalesce(usd, max(usd) over ()) as usd from paid),
  living as (
    select coalesce(sum(coalesce(nullif(w.cost_per_hr_usd, 0), w.expected_usd_per_hr, p.usd, 0)), 0) as hourly,
      coalesce(sum(coalesce(nullif(w.cost_per_hr_usd, 0), w.expected_usd_per_hr, p.usd)::float8 / 3600 * greatest(0,
        date_part('epoch', now() - greatest(w.pod_created_at, midnight.at))))
        filter (where w.pod_created_at is not null), 0) as today,
      count(*) filter (where coalesce(nullif(w.cost_per_hr_usd, 0), w.expected_usd_per_hr, p.usd) is null) as unpriced
    from workers w join prices p on p.name = w.pool cross join midnight
    where w.gone_at is null and w.origin <> 'external'
  ),
  gone as (
    -- Floating point is many times faster when thousands of workers end in a day.
    select coalesce(sum(coalesce(nullif(w.cost_per_hr_usd, 0), w.expected_usd_per_hr, p.usd)::float8 / 3600 * greatest(0,
      date_part('epoch', coalesce(w.deleted_at, w.gone_at) - greatest(w.pod_created_at, midnight.at)))), 0) as today
    from workers w join prices p on p.name = w.pool cross join midnight
    where w.gone_at >= midnight.at and w.gone_at is not null and w.origin <> 'external'
      and w.pod_created_at is not null
  )
  select round(living.hourly, 4), round((living.today + gone.today)::numeric, 6),
    (select usd from prices where name = p_pool), living.unpriced
  from living cross join gone
$$;
select grant_to_service('account_spend(text)');

-- Changes when the fleet changes. It leaves out heartbeats and progress, which change all the time. It also leaves out
-- a task that came and ended since the last call: finding it would read every worker's last attempt, and the next full
-- pass finds it anyway.
create or replace function pool_fleet_hash(p_pool text) returns text
language sql stable security definer set search_path = public, pg_temp as $$
  select coalesce(md5(string_agg(concat_ws(':', w.id, w.status, w.post_state, w.boot_stage, w.pod_id,
    w.last_signal, extract(epoch from w.last_signal_at), nullif(w.drains_without_deadline, false), w.broken_at, a.lease_token),
    ',' order by w.id)), 'empty')
  from workers w
  left join open_leases a on a.worker_id = w.id
  where w.pool = p_pool and w.gone_at is null and w.origin <> 'job'
$$;
select grant_to_service('pool_fleet_hash(text)');

-- All inputs of a decision, read in one call and timed by one clock. The pods of jobs are no part of the fleet.
-- p_full also renews the pool's record of unbroken observation. Without it, the answer omits the fleet if its hash equals
-- p_known_fleet, and the spend unless p_spend asks for it. Only p_full brings the pool's open alerts, and since when a task of
-- the first 1,000 in line waits: its last change made it claimable. The breaker's counts are those of the last
-- p_failure_window_min minutes, or of the last p_min_boots boots within a day where these are more: in a small pool, boots fail
-- one after the other, each at its spawn deadline. With p_full or p_failures the answer has the workers that failed at least
-- p_sick_tasks tasks in a row within p_sick_window_min. p_kinds asks for the kinds of the tasks of the fleet. p_task_types: what
-- the pool's launch profile is known to do (null: anything; {*}: what the last full pass was told). queued and unfit count what
-- the next worker can do, see next_worker_types. Only p_full brings the types that nobody can do.
create or replace function pool_observe(
  p_pool text, p_known_fleet text, p_full boolean, p_poll_sec numeric, p_failure_window_min numeric default 5,
  p_spend boolean default false, p_min_boots integer default 0, p_sick_tasks integer default 3,
  p_sick_window_min numeric default 10, p_sick_proof_min numeric default 60, p_failures boolean default false,
  p_kinds boolean default false, p_task_types text[] default '{*}')
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
  fleet jsonb;
  fleet_hash text;
  able text[];
  waiting text[];
  undone jsonb := '[]';
  queued bigint;
  counting_from timestamptz;
  boots_failed bigint;
  boots_ready bigint;
begin
  if p_full then
    update pools set
      observing_since = case when observed_at is null or observing_since is null
        or observed_at < now() - make_interval(secs => 2 * p_poll_sec + 10) then now() else observing_since end,
      observed_at = now(), task_types = case when p_task_types = '{*}' then task_types else p_task_types end
    where name = p_pool returning * into row;
  else
    select * into row from pools where name = p_pool;
  end if;
  if row.name is null then
    raise exception 'pool % does not exist', one_line(p_pool) using errcode = 'PT404', hint = 'See gpu-pool pool list.';
  end if;
  perform open_delayed_tasks(p_pool);
  able := next_worker_types(p_pool, case when p_task_types = '{*}' then row.task_types else p_task_types end);
  if able is not null then
    waiting := waiting_types(p_pool);
  end if;
  -- No decision depends on more, so a million queued tasks cost no more time than ten thousand.
  if able is null or waiting <@ able and cardinality(waiting) < 1000 then
    select count(*) into queued from (
      select from tasks where status = 'Queued' and gate = 'open' and pool = p_pool limit 10000) as head;
  else
    queued := count_line(p_pool, array(select unnest(waiting) intersect select unnest(able)));
  end if;
  if p_full then
    undone := types_without_worker(p_pool, able);
  end if;
  counting_from := greatest(row.breaker_since, now() - make_interval(secs => p_failure_window_min * 60));
  select count(*) into boots_failed from workers
  where pool = p_pool and origin = 'pool' and failed_at > counting_from and ready_at is null
    and coalesce(failed_on, '') not in ('funds', 'place');
  select count(*) into boots_ready from workers where pool = p_pool and origin = 'pool' and ready_at > counting_from;
  if boots_failed + boots_ready < p_min_boots then
    counting_from := greatest(row.breaker_since, now() - interval '1 day');
    select count(*) filter (where failed), count(*) filter (where not failed) into boots_failed, boots_ready from (
      select failed from (
        (select true as failed, failed_at as ended_at from workers
          where pool = p_pool and origin = 'pool' and failed_at > counting_from and ready_at is null
            and coalesce(failed_on, '') not in ('funds', 'place')
          order by failed_at desc limit p_min_boots)
        union all
        (select false, ready_at from workers where pool = p_pool and origin = 'pool' and ready_at > counting_from
          order by ready_at desc limit p_min_boots)) as boots
      order by ended_at desc limit p_min_boots) as latest;
  end if;
  -- The hash is computed alone first, because most probes find the fleet unchanged. The figures below do not use to_ms,
  -- which would be a function call per value.
  if not p_full then
    fleet_hash := pool_fleet_hash(p_pool);
  end if;
  if p_full or fleet_hash is distinct from p_known_fleet then
    select pool_fleet_hash(p_pool), coalesce(jsonb_agg(to_jsonb(f) order by f.id), '[]') into fleet_hash, fleet
    from (
      select w.id, w.status, w.origin, w.pod_id, w.post_state, w.boot_stage, w.drains_without_deadline, w.last_signal as signal,
        w.cost_per_hr_usd as cost_per_hour_usd, (extract(epoch from w.created_at) * 1000)::bigint as created_ms,
        (extract(epoch from w.ready_at) * 1000)::bigint as ready_ms,
        (extract(epoch from w.last_heartbeat) * 1000)::bigint as heartbeat_ms,
        (extract(epoch from w.vram_at) * 1000)::bigint as vram_ms,
        case when a.task_id is null then (
          select (extract(epoch from greatest(
            (select max(lease_ended_at) from tasks where worker_id = w.id),
            (select max(ended_at) from ended_attempts where worker_id = w.id))) * 1000)::bigint) end as released_ms,
        (extract(epoch from w.boot_stage_at) * 1000)::bigint as boot_stage_ms,
        (extract(epoch from w.last_signal_at) * 1000)::bigint as signal_ms,
        w.broken_reason,
        case when a.task_id is not null then jsonb_build_object(
          'id', a.task_id, 'started_ms', (extract(epoch from a.started_at) * 1000)::bigint,
          'progress_ms', (extract(epoch from a.progress_at) * 1000)::bigint,
          'progress', a.progress, 'stuck_timeout_sec', a.stuck_timeout_sec,
          'task_type', case when p_kinds then a.task_type end,
          'model', case when p_kinds then a.model end)
        end as task
      from workers w
      left join open_leases a on a.worker_id = w.id
      where w.pool = p_pool and w.gone_at is null and w.origin <> 'job'
    ) f;
  end if;
  return jsonb_build_object(
    'now_ms', to_ms(clock_timestamp()),
    'observing_since_ms', to_ms(row.observing_since),
    'mass_silence_since_ms', to_ms(row.mass_silence_since),
    'intent', pool_intent(row),
    'config', row.config,
    'environment', row.environment,
    'watch_id', row.watch_id,
    'queued', queued,
    'breaker', jsonb_build_object('state', row.breaker, 'since_ms', to_ms(row.breaker_since),
      'failed', boots_failed, 'ready', boots_ready),
    'no_funds', (select jsonb_build_object('since_ms', to_ms(since), 'tried_ms', to_ms(tried_at)) from no_funds),
    'no_place', case when row.no_place_since is not null then
      jsonb_build_object('since_ms', to_ms(row.no_place_since), 'reason', row.no_place_reason) end,
    'waiting_since_ms', case when p_full then (select to_ms(min(since)) from pool_line(p_pool,
      case when undone <> '[]' then array(
        select unnest(waiting) except select d ->> 'task_type' from jsonb_array_elements(undone) as d) end, 1000)) end,
    'task_types', to_jsonb(able),
    'undone', case when p_full then undone end,
    'unfit', case when queued > 0 then to_jsonb(unfit_workers(p_pool,
      case when able is null then waiting_types(p_pool) else array(select unnest(waiting) intersect select unnest(able)) end))
      else '[]' end,
    'alerts', case when p_full then (
      select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'subject', subject, 'message', message)), '[]')
      from alerts where closed_at is null and pool = p_pool) end,
    'launched_last_minute', (select count(*) from workers
      where pool = p_pool and origin = 'pool' and created_at > now() - interval '1 minute'),
    'failed_recently', (select count(*) from workers
      where pool = p_pool and origin = 'pool' and failed_at > now() - interval '5 minutes'
        and failed_on in ('heartbeat', 'progress', 'failures')),
    'spend', case when p_full or p_spend then (select to_jsonb(s) from account_spend(p_pool) s) end,
    'failed_runs', case when p_full or p_failures then
      failed_runs(p_pool, p_sick_tasks, p_sick_window_min, p_sick_proof_min) end,
    'fleet_hash', fleet_hash,
    'fleet', fleet);
end $$;
select grant_to_service('pool_observe(text, text, bool, numeric, numeric, bool, int, int, numeric, numeric, bool, bool, text[])');
