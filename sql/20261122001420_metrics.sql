-- The figures of the pools that the worker processes show at /metrics (service role only).

create table if not exists metrics_export (
  id text primary key default 'export' check (id = 'export'),
  process uuid not null,
  exported_at timestamptz not null,
  counted_to timestamptz not null
);
comment on table metrics_export is
  'One row: which worker process shows the pools'' metrics, and up to when metric_totals counts.';
comment on column metrics_export.exported_at is
  'Another process begins 30 seconds later at the earliest. Until then a scrape of the old one may still count.';
select secure_table('metrics_export');

create table if not exists metric_totals (
  metric text not null,
  pool text not null,
  label text not null,
  value double precision not null,
  primary key (metric, pool, label)
);
comment on table metric_totals is
  'Sums and cumulative buckets that only grow, although the rows that they count are deleted with time.';
comment on column metric_totals.label is 'The upper bound of a bucket in seconds; empty for a sum.';
select secure_table('metric_totals');

-- The queued tasks that may not be claimed.
create index if not exists tasks_waiting on tasks (pool, gate) where status = 'Queued' and gate <> 'open';

-- Adds the durations p_values (seconds, one per event, with their pools) to a histogram. Each pool has all buckets, with zeros
-- before its first event: a counter that begins above zero hides its first events from rate().
create or replace function metric_add_durations(p_metric text, p_pools text[], p_values double precision[], p_bounds numeric[])
returns void
language sql security definer set search_path = public, pg_temp as $$
  with events as (
    select pool, seconds from unnest(p_pools, p_values) as e(pool, seconds)
    union all
    select name, null from pools),
  added as (
    select p_metric || '_bucket' as metric, pool, bound::text as label, count(*) filter (where seconds <= bound)::float8 as value
    from events cross join unnest(p_bounds) as bound group by pool, bound
    union all
    select p_metric || '_bucket', pool, '+Inf', count(seconds) from events group by pool
    union all
    select p_metric || '_sum', pool, '', coalesce(sum(seconds), 0) from events group by pool)
  insert into metric_totals as t (metric, pool, label, value)
  select metric, pool, label, value from added a
  where value > 0 or not exists (
    select from metric_totals o where o.metric = a.metric and o.pool = a.pool and o.label = a.label)
  order by metric, pool, label
  on conflict (metric, pool, label) do update set value = t.value + excluded.value
$$;
select grant_to_service('metric_add_durations(text, text[], double precision[], numeric[])');

-- Counts the claims and the first heartbeats after p_from, up to p_to.
create or replace function metric_count(p_from timestamptz, p_to timestamptz) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  pools_of text[];
  seconds_of double precision[];
begin
  -- The attempts that are open now, and those that ended since p_from. Completed ones are found by their workers.
  select array_agg(a.pool), array_agg(greatest(0, extract(epoch from a.started_at - a.claimable_at)::float8))
  into pools_of, seconds_of
  from (
    select pool, leased_at as started_at, claimable_at from tasks where lease_token is not null and lease_ended_at is null
    union all
    select t.pool, t.leased_at, t.claimable_at
    from workers w join tasks t on t.worker_id = w.id and t.lease_ended_at > p_from and t.lease_token is not null
    where w.gone_at is null or w.gone_at > p_from
    union all
    select t.pool, e.started_at, e.claimable_at
    from ended_attempts e join tasks t on t.id = e.task_id where e.ended_at > p_from) as a
  where a.started_at > p_from and a.started_at <= p_to and a.claimable_at is not null;
  perform metric_add_durations('task_wait_seconds', pools_of, seconds_of,
    array[1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]);
  select array_agg(w.pool), array_agg(extract(epoch from w.ready_at - w.created_at)::float8) into pools_of, seconds_of
  from pools p join workers w on w.pool = p.name
  where w.origin = 'pool' and w.ready_at > p_from and w.ready_at <= p_to;
  perform metric_add_durations('cold_start_seconds', pools_of, seconds_of,
    array[10, 20, 30, 60, 90, 120, 180, 300, 600, 900, 1800]);
end $$;
select grant_to_service('metric_count(timestamptz, timestamptz)');

-- The pools that were not shut down, and any other that still has workers or queued tasks. The oldest task is looked for among
-- the first 1,000 in line, as pool_observe does.
create or replace function metric_pools() returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  -- Each half is counted in its index alone.
  with queue as materialized (
    select name as pool, 'open' as gate, tasks from pools, lateral (
      select count(*) as tasks from tasks where status = 'Queued' and gate = 'open' and pool = name) as claimable
    where tasks > 0
    union all
    select pool, gate, count(*) from tasks where status = 'Queued' and gate <> 'open' group by pool, gate),
  fleet as materialized (
    select w.pool, w.origin, case w.status when 'active' then case when a.task_id is null then 'idle' else 'busy' end
        when 'error' then 'failing' else w.status end as phase, count(*) as workers,
      sum(case when w.origin <> 'external' then coalesce(nullif(w.cost_per_hr_usd, 0), w.expected_usd_per_hr, 0) end) as usd
    from workers w left join open_leases a on a.worker_id = w.id
    where w.gone_at is null group by 1, 2, 3)
  select coalesce(jsonb_agg(jsonb_build_object(
    'pool', p.name, 'mode', p.mode, 'should_run', p.should_run, 'hold', p.hold, 'breaker', p.breaker,
    'desired', p.desired_workers, 'min', p.min_workers, 'max', p.max_workers,
    'observed_sec', extract(epoch from clock_timestamp() - p.observed_at)::float8,
    'no_place', p.no_place_since is not null,
    'oldest_sec', (select extract(epoch from clock_timestamp() - min(since))::float8 from (
      select coalesce(updated_at, created_at) as since from tasks
      where status = 'Queued' and gate = 'open' and pool = p.name
      order by priority desc, vtime, id limit 1000) as head),
    'queue', (select coalesce(jsonb_object_agg(gate, tasks), '{}') from queue where pool = p.name),
    'workers', (select coalesce(jsonb_agg(jsonb_build_object('origin', origin, 'phase', phase, 'workers', workers)), '[]')
      from fleet where pool = p.name),
    'usd_per_hour', (select coalesce(sum(usd), 0) from fleet where pool = p.name)) order by p.name), '[]')
  from pools p
  where p.should_run or exists (select from fleet where pool = p.name) or exists (select from queue where pool = p.name)
$$;
select grant_to_service('metric_pools()');

-- The figures for the leading process; null: p_process does not lead, or another process was asked less than 30 s ago. A
-- claim may be seen as late as its statement may last, 8 s, so events count when they are 10 s old. After a pause of
-- the scrapes, only events of the last ten minutes count, because one statement must be able to count them.
create or replace function metrics_read(p_process uuid) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  up_to timestamptz := clock_timestamp() - interval '10 seconds';
  counted timestamptz;
begin
  if not exists (
    select from worker_processes
    where id = p_process and leads and seen_at > clock_timestamp() - interval '30 seconds')
  then
    return null;
  end if;
  insert into metrics_export as e (process, exported_at, counted_to) values (p_process, clock_timestamp(), up_to)
  on conflict (id) do update set process = excluded.process, exported_at = excluded.exported_at
  where e.process = excluded.process or e.exported_at < clock_timestamp() - interval '30 seconds'
  returning greatest(counted_to, up_to - interval '10 minutes') into counted;
  if counted is null then
    return null;
  end if;
  perform metric_count(counted, up_to);
  update metrics_export set counted_to = up_to where counted_to < up_to;
  return jsonb_build_object(
    'pools', metric_pools(),
    'totals', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from metric_totals t),
    'alerts', (select jsonb_object_agg(k.kind, (
      select count(*) from alerts a where a.kind = k.kind and a.closed_at is null)) from alert_kinds k),
    'processes', (select count(*) from worker_processes where seen_at > clock_timestamp() - interval '30 seconds'),
    'spend', (select to_jsonb(s) from account_spend('') s),
    'no_funds', exists (select from no_funds),
    'limits', (select jsonb_build_object('hourly_usd', environment -> 'maxHourlySpendUsd',
        'daily_usd', environment -> 'dailyBudgetUsd')
      from pools where environment_at is not null order by environment_at desc limit 1));
end $$;
select grant_to_service('metrics_read(uuid)');
