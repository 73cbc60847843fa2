-- A row for each pool and minute, kept for 90 days, and one call that answers all that a dashboard shows (service role only).

create table if not exists pool_minutes (
  pool text not null references pools (name) on delete cascade,
  minute timestamptz not null check (minute = date_trunc('minute', minute, 'UTC')),
  open integer not null,
  held integer not null,
  blocked integer not null,
  delayed integer not null,
  running integer not null,
  spawning integer not null,
  idle integer not null,
  busy integer not null,
  terminating integer not null,
  failing integer not null,
  desired integer,
  completed integer not null,
  failed integer not null,
  oldest_wait_sec integer,
  usd_per_hour numeric(12, 4) not null,
  primary key (pool, minute)
);
comment on table pool_minutes is
  'One row per pool and minute in which its watch observed it. Counts of tasks and workers are those of the minute''s end, '
  'taken up to a minute later. A missing row is not known. In 90 days, a pool has at most 129,600 rows, some 20 MB.';
comment on column pool_minutes.minute is 'Its beginning. completed and failed count from then for 60 seconds.';
comment on column pool_minutes.running is 'In progress on a worker; parents that wait for their sub-tasks do not count.';
comment on column pool_minutes.failing is 'Workers that ended with an error and whose pods were not yet seen gone.';
comment on column pool_minutes.desired is 'The size that the pool''s watch wanted; null: not known.';
comment on column pool_minutes.completed is 'Attempts that completed their task.';
comment on column pool_minutes.failed is 'Attempts that ended by a task''s error, or without progress.';
comment on column pool_minutes.oldest_wait_sec is
  'How long the first 1,000 in line have waited at most since their last change; null: nobody could be claimed.';
comment on column pool_minutes.usd_per_hour is 'What the pool''s pods cost, those of its jobs included.';
select secure_table('pool_minutes');

-- The queue of a pool by gate, and what runs. Each half is counted in its index alone.
create or replace function pool_queue(
  p_pool text, out open integer, out held integer, out blocked integer, out delayed integer, out running integer,
  out oldest_wait_sec integer)
language sql stable security definer set search_path = public, pg_temp as $$
  with waiting as (
    select gate, count(*)::integer as tasks from tasks
    where status = 'Queued' and gate <> 'open' and pool = p_pool group by gate)
  select (select count(*)::integer from tasks where status = 'Queued' and gate = 'open' and pool = p_pool),
    coalesce(sum(tasks) filter (where gate = 'held'), 0)::integer,
    coalesce(sum(tasks) filter (where gate = 'blocked'), 0)::integer,
    coalesce(sum(tasks) filter (where gate = 'delayed'), 0)::integer,
    (select count(*)::integer from tasks where status = 'In Progress' and pool = p_pool and delegated_at is null), (
      select greatest(0, extract(epoch from clock_timestamp() - min(since)))::integer from (
        select coalesce(updated_at, created_at) as since from tasks
        where status = 'Queued' and gate = 'open' and pool = p_pool
        order by priority desc, vtime, id limit 1000) as head)
  from waiting
$$;
select grant_to_service('pool_queue(text)');

-- The living workers of a pool with their phases and tasks.
create or replace view living_workers with (security_invoker = true) as
select w.pool, w.id, w.origin, case w.status when 'active' then case when t.id is null then 'idle' else 'busy' end
    when 'spawning' then 'spawning' when 'terminating' then 'terminating' else 'failing' end as phase,
  w.boot_stage, w.boot_stage_at, w.created_at, w.last_heartbeat, w.instance_type, w.cost_per_hr_usd,
  case when w.origin <> 'external' then coalesce(nullif(w.cost_per_hr_usd, 0), w.expected_usd_per_hr, 0) else 0 end
    as usd_per_hour,
  t.id as task_id, t.task_type, t.progress, t.leased_at
from workers w
left join tasks t on t.worker_id = w.id and t.lease_token is not null and t.lease_ended_at is null
where w.gone_at is null;
comment on view living_workers is
  'Workers whose pods were not seen gone, and the pods of jobs: phase (spawning, idle, busy, terminating, failing) and task.';
comment on column living_workers.usd_per_hour is 'As it is billed: a pod of unknown price counts as the catalog''s price.';
select secure_view('living_workers');

-- Records the minute that ended last, unless it is recorded. A minute counts as ended ten seconds later, because a claim or a
-- completion may be seen as late as its statement may last, 8 s. Answers whether it was recorded now.
create or replace function record_minute(p_pool text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  ended timestamptz := date_trunc('minute', clock_timestamp() - interval '10 seconds', 'UTC');
  begun timestamptz := ended - interval '1 minute';
begin
  if exists (select from pool_minutes where pool = p_pool and minute = begun) then
    return false;
  end if;
  insert into pool_minutes (pool, minute, open, held, blocked, delayed, running, oldest_wait_sec, spawning, idle, busy,
    terminating, failing, usd_per_hour, desired, completed, failed)
  select p.name, begun, q.open, q.held, q.blocked, q.delayed, q.running, q.oldest_wait_sec, f.spawning, f.idle, f.busy,
    f.terminating, f.failing, f.usd, p.desired_workers, (
      select count(*) from (
        select id from workers where pool = p_pool and gone_at is null
        union all
        select id from workers where pool = p_pool and gone_at >= begun and origin <> 'external') as w
      join tasks t on t.worker_id = w.id and t.lease_token is not null
        and t.lease_ended_at >= begun and t.lease_ended_at < ended), (
      select count(*) from ended_attempts a join tasks t on t.id = a.task_id
      where a.cause in ('task_error', 'stuck') and a.ended_at >= begun and a.ended_at < ended and t.pool = p_pool)
  from pools p cross join pool_queue(p.name) q cross join lateral (
    select count(*) filter (where phase = 'spawning' and origin <> 'job') as spawning,
      count(*) filter (where phase = 'idle' and origin <> 'job') as idle,
      count(*) filter (where phase = 'busy' and origin <> 'job') as busy,
      count(*) filter (where phase = 'terminating' and origin <> 'job') as terminating,
      count(*) filter (where phase = 'failing' and origin <> 'job') as failing, coalesce(sum(usd_per_hour), 0) as usd
    from living_workers where pool = p.name) f
  where p.name = p_pool
  on conflict do nothing;
  return found;
end $$;
select grant_to_service('record_minute(text)');

-- All that a dashboard shows of a pool at one moment, in bounded parts; null: there is no such pool. At most p_limit (500) living
-- workers whose id, phase, GPU or task type contains p_filter: those that need a look first. fleet_count: how many there are.
create or replace function pool_dashboard(p_pool text, p_filter text default '', p_limit integer default 100) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  with fleet as materialized (
    select *, array_position(array['failing', 'spawning', 'busy', 'idle', 'terminating'], phase) as place
    from living_workers where pool = p_pool),
  chosen as materialized (
    select * from fleet where origin <> 'job' and (
      p_filter = '' or strpos(lower(concat_ws(' ', id, phase, instance_type, task_type)), lower(p_filter)) > 0))
  select jsonb_build_object(
    'pool', p.name, 'at', clock_timestamp(), 'observed_at', p.observed_at, 'mode', p.mode, 'hold', i -> 'hold', 'hold_until',
    case when i ->> 'hold' is not null then p.hold_until end, 'breaker', p.breaker,
    'desired', p.desired_workers, 'min', p.min_workers, 'max', p.max_workers,
    'queue', (select to_jsonb(q) from pool_queue(p.name) q),
    'workers', jsonb_build_object('spawning', 0, 'idle', 0, 'busy', 0, 'terminating', 0, 'failing', 0) || (
      select coalesce(json_object_agg(phase, workers)::jsonb, '{}') from (
        select phase, count(*) as workers from fleet where origin <> 'job' group by phase) as phases),
    'usd_per_hour', (select coalesce(sum(usd_per_hour), 0) from fleet),
    'account', (select jsonb_build_object('usd_per_hour', hourly_usd, 'usd_today', today_usd, 'unpriced', unpriced,
      'max_usd_per_hour', p.environment -> 'maxHourlySpendUsd', 'max_usd_today', p.environment -> 'dailyBudgetUsd')
      from account_spend(p.name)),
    'minutes', (
      select coalesce(
        json_agg(to_jsonb(m) - 'pool' - 'minute' || jsonb_build_object('at', m.minute) order by m.minute)::jsonb, '[]')
      from pool_minutes m
      where m.pool = p.name and m.minute > now() - interval '62 minutes' and m.minute <= now()),
    'decisions', (
      select coalesce(json_agg(jsonb_build_object('at', at, 'reason', left(reason, 1000)) order by id desc)::jsonb, '[]') from (
        select * from (select * from pool_events where pool = p.name order by id desc limit 1000) as latest
        where kind = 'decision' order by id desc limit 10) as decisions),
    'alerts', (
      select coalesce(json_agg(to_jsonb(a) order by a.opened_at desc)::jsonb, '[]') from (
        select kind, subject, pool, left(message, 1000) as message, opened_at, what_to_do
        from alerts join alert_kinds using (kind)
        where closed_at is null and (pool = p.name or pool is null) order by opened_at desc limit 20) as a),
    'fleet_count', (select count(*) from chosen),
    'fleet', (
      select coalesce(json_agg(jsonb_build_object('id', id, 'phase', phase, 'origin', origin, 'boot_stage', boot_stage,
        'boot_stage_at', boot_stage_at, 'created_at', created_at, 'heartbeat_at', last_heartbeat, 'gpu', instance_type,
        'usd_per_hour', cost_per_hr_usd, 'task', case when task_id is not null then
          jsonb_build_object('id', task_id, 'type', task_type, 'progress', progress, 'started_at', leased_at) end)
        order by place, id)::jsonb, '[]')
      from (
        select * from chosen order by place, id limit greatest(1, least(500, coalesce(p_limit, 100)))) as page))
  from pools p cross join pool_intent(p) i where p.name = p_pool
$$;
select grant_to_service('pool_dashboard(text, text, integer)');
