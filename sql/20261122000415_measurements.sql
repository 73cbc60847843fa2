-- What is measured of a pool for the policy latency: boots, service times, waits and arrivals (service role only). pool_measure
-- brings the figures up to date in small steps from bounded parts of indexes. So no call reads the history, and neither a claim
-- nor a completion pays for them.

alter table pools add column if not exists wait_value double precision check (wait_value > 0);
comment on column pools.wait_value is
  'What a second of a task''s waiting is worth, in seconds of GPU, as learnt towards TARGET_WAIT_SEC; null: nothing was learnt.';

alter table workers
  add column if not exists cloud text,
  add column if not exists data_center text;
comment on column workers.cloud is 'Where its pod was last asked for; null: not known.';
comment on column workers.data_center is 'Where its pod was last asked for; null: in any data center.';

alter table task_types add column if not exists expected_sec double precision check (expected_sec > 0);
comment on column task_types.expected_sec is
  'How long a task of this type is expected to take, in seconds, while fewer than 20 of them were measured; null: 180.';

create table if not exists pool_measurements (
  pool text primary key references pools (name) on delete cascade,
  measured_at timestamptz,
  counted_to timestamptz not null default '-infinity',
  claims_to timestamptz,
  fleet_hash text,
  services_at timestamptz,
  open_tasks integer not null default 0,
  arrivals_per_sec double precision not null default 0,
  waits real[] not null default '{}',
  figures jsonb not null default '{}'
);
comment on table pool_measurements is 'One row per pool whose figures somebody asked for.';
comment on column pool_measurements.counted_to is 'Ends, and waits of tasks that were claimed, count up to this time.';
comment on column pool_measurements.claims_to is 'For the arrivals, claims count up to this time.';
comment on column pool_measurements.fleet_hash is
  'The fleet when the attempts were last counted. While it is the same, hardly any began or ended.';
comment on column pool_measurements.services_at is 'When the figures of service times and boots were renewed.';
comment on column pool_measurements.open_tasks is 'How many tasks could be claimed at measured_at, counted up to 10,000.';
comment on column pool_measurements.arrivals_per_sec is 'The decayed rate at measured_at.';
comment on column pool_measurements.waits is 'How long the last 400 claimed tasks had waited, in seconds, the oldest first.';
select secure_table('pool_measurements');
create or replace trigger pool_measurements_fit before insert or update of figures on pool_measurements for each row
when (new.figures <> '{}') execute function refuse_unfit_json('figures', '16');

create table if not exists service_times (
  pool text not null references pools (name) on delete cascade,
  task_type text not null,
  model text,
  gpu_type text not null,
  ended_at timestamptz not null,
  seconds double precision not null
);
comment on table service_times is
  'From the claim to the end of the last 400 completed or delegated tasks of each type and model; at most 20,000 of a pool.';
create index if not exists service_times_kind on service_times (pool, task_type, model, ended_at desc);
create index if not exists service_times_latest on service_times (pool, ended_at desc);
select secure_table('service_times');

-- A view costs less than a function that is called for each row.
create or replace view task_kinds with (security_invoker = true) as
select id as task_id, task_type, case
    when jsonb_typeof(params -> 'model') = 'string' then left(params ->> 'model', 100)
    when jsonb_typeof(params -> 'model_name') = 'string' then left(params ->> 'model_name', 100) end as model
from tasks;
comment on view task_kinds is 'The type of each task, and the model that its params name; null: none.';
select secure_view('task_kinds');

-- The attempts of a pool's workers that are open, or ended after p_from; if that is long ago, of each worker at most so many that
-- all together are some thousands. The workers are those that live and the last 200 that became ready. A worker that has held its
-- task since before p_from has ended no other one, so it is not looked at.
create or replace function attempts_since(p_pool text, p_from timestamptz) returns table (
  task_id uuid, gpu_type text, started_at timestamptz, claimable_at timestamptz, ended_at timestamptz, cause text)
language sql stable security definer set search_path = public, pg_temp as $$
  with fleet as materialized (
    select w.id, coalesce(w.instance_type, 'unknown') as gpu_type, t.id as task_id, t.leased_at, t.claimable_at from (
      select id, instance_type from workers where pool = p_pool and gone_at is null and origin <> 'job'
      union
      (select id, instance_type from workers where pool = p_pool and origin = 'pool' and ready_at is not null
        order by ready_at desc limit 200)) as w
    left join tasks t on t.worker_id = w.id and t.lease_token is not null and t.lease_ended_at is null)
  select task_id, gpu_type, leased_at, claimable_at, null::timestamptz, null from fleet where task_id is not null
  union all
  select a.task_id, f.gpu_type, a.started_at, a.claimable_at, a.ended_at, a.cause
  from fleet f cross join lateral (
    select task_id, started_at, claimable_at, ended_at, cause from task_attempts
    where worker_id = f.id and ended_at > p_from
    order by ended_at desc
    limit case when p_from > now() - interval '1 minute' then 1000
      else greatest(8, least(400, 8000 / (select count(*) from fleet))) end) as a
  where f.leased_at is null or f.leased_at > p_from
$$;
select grant_to_service('attempts_since(text, timestamptz)');

-- Drops the service times of a pool that are too many.
create or replace function trim_service_times(p_pool text) returns void
language sql security definer set search_path = public, pg_temp as $$
  delete from service_times s using (
    select ctid as row_id, row_number() over (partition by task_type, model order by ended_at desc) as in_kind,
      row_number() over (order by ended_at desc) as in_pool
    from service_times where pool = p_pool) as ranked
  where s.ctid = ranked.row_id and (ranked.in_kind > 400 or ranked.in_pool > 20000)
$$;
select grant_to_service('trim_service_times(text)');

-- Service times by kind and by GPU type from the table service_times, for the 100 kinds that ended last. services: 21 quantiles;
-- a type with all its models has the model null.
create or replace function service_figures(p_pool text) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  with kept as materialized (
    select task_type, model, gpu_type, seconds, ended_at,
      row_number() over (partition by task_type order by ended_at desc) as in_type,
      row_number() over (order by ended_at desc) as in_pool
    from service_times where pool = p_pool),
  kinds as (
    select task_type, model, seconds, ended_at from kept where model is not null
    union all
    select task_type, null, seconds, ended_at from kept where in_type <= 400),
  services as (
    select task_type, model, count(*) as samples, max(ended_at) as latest,
      percentile_cont(array(select n / 20.0::float8 from generate_series(0, 20) as n))
        within group (order by seconds) as quantiles
    from kinds group by task_type, model order by latest desc limit 100),
  speeds as (
    select task_type, model, gpu_type, count(*) as samples, avg(seconds) as mean, max(ended_at) as latest
    from kept group by task_type, model, gpu_type order by latest desc limit 100)
  select jsonb_build_object(
    'services', (select coalesce(jsonb_agg(jsonb_build_object('task_type', task_type, 'model', model, 'samples', samples,
      'quantiles_sec', to_jsonb(quantiles)) order by latest desc, task_type, model nulls first), '[]') from services),
    'speeds', (select coalesce(jsonb_agg(jsonb_build_object('task_type', task_type, 'model', model, 'gpu_type', gpu_type,
      'samples', samples, 'mean_sec', mean) order by latest desc, task_type, model, gpu_type), '[]') from speeds),
    'mean_sec', (select avg(seconds) from kept where in_pool <= 400),
    'recent', (select coalesce(jsonb_agg(jsonb_build_object('task_type', task_type, 'model', model, 'tasks', tasks)), '[]') from (
      select task_type, model, count(*) as tasks from kept where in_pool <= 400 group by task_type, model) as r))
$$;
select grant_to_service('service_figures(text)');

-- Boots from the booking to the first heartbeat: the median of the pool's last 20, and of the last 20 at each place among the
-- last 200 boots.
create or replace function boot_figures(p_pool text) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  with latest as materialized (
    select coalesce(instance_type, 'unknown') as gpu_type, cloud, data_center, ready_at,
      greatest(0, extract(epoch from ready_at - created_at)::float8) as seconds,
      row_number() over (order by ready_at desc) as in_pool,
      row_number() over (partition by instance_type, cloud, data_center order by ready_at desc) as in_place
    from (
      select instance_type, cloud, data_center, ready_at, created_at from workers
      where pool = p_pool and origin = 'pool' and ready_at is not null
      order by ready_at desc limit 200) as w),
  places as (
    select gpu_type, cloud, data_center, count(*) as samples, percentile_cont(0.5) within group (order by seconds) as median,
      max(ready_at) as latest
    from latest where in_place <= 20 group by gpu_type, cloud, data_center)
  select jsonb_build_object(
    'boot_sec', (select percentile_cont(0.5) within group (order by seconds) from latest where in_pool <= 20),
    'boots', (select coalesce(jsonb_agg(jsonb_build_object('gpu_type', gpu_type, 'cloud', cloud, 'data_center', data_center,
      'samples', samples, 'median_sec', median) order by latest desc), '[]') from places))
$$;
select grant_to_service('boot_figures(text)');

-- Waiting, running and coming tasks of the types that a worker can do (p_types; null: any). queued: by kind, of the first 200.
-- running: by kind, of the 100 tasks that were claimed last. coming: tasks of this pool that wait for a task that a worker of any
-- pool holds.
create or replace function demand_figures(p_pool text, p_types text[]) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  with held as materialized (
    select id as task_id, worker_id, leased_at from tasks where lease_token is not null and lease_ended_at is null),
  -- Without offset 0 a small table would be read as a whole.
  queued as (
    select task_type, model, count(*) as tasks
    from (select id from pool_line(p_pool, p_types, 200)) as head
    cross join lateral (select * from task_kinds where task_id = head.id offset 0) as kind group by task_type, model),
  running as (
    select task_type, model, count(*) as tasks
    from (select task_id from held join workers w on w.id = worker_id where w.pool = p_pool
      order by leased_at desc limit 100) as latest
    cross join lateral (select * from task_kinds where task_id = latest.task_id offset 0) as kind group by task_type, model),
  coming as (
    select after, task_type, model, count(*) as tasks
    from (select held.task_id as after, waiting.id
      from held cross join lateral (
        select id from tasks
        where dependant_on = held.task_id and status = 'Queued' and gate = 'blocked' and pool = p_pool
          and (p_types is null or task_type = any (p_types)) limit 1000) as waiting
      where exists (select from tasks where status = 'Queued' and gate = 'blocked' and pool = p_pool)
      limit 1000) as blocked
    cross join lateral (select * from task_kinds where task_id = blocked.id offset 0) as kind group by after, task_type, model)
  select jsonb_build_object(
    'queued', (select coalesce(jsonb_agg(to_jsonb(queued)), '[]') from queued),
    'running', (select coalesce(jsonb_agg(to_jsonb(running)), '[]') from running),
    'coming', (select coalesce(jsonb_agg(to_jsonb(coming) order by after, task_type, model), '[]') from coming))
$$;
select grant_to_service('demand_figures(text, text[])');

-- The decayed rate of tasks that became claimable, Σ exp(-age / p_window_sec) / p_window_sec. Between two looks, as many became
-- claimable as are claimable more and were claimed meanwhile; they count as spread evenly. A pool that was not measured within
-- six windows or an hour begins with what is queued, and with p_claimed: since when the tasks waited that were claimed.
create or replace function arrival_rate(
  p_row pool_measurements, p_open integer, p_claims bigint, p_claimed timestamptz[], p_at timestamptz, p_window_sec float8,
  p_types text[])
returns float8
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  earliest timestamptz := p_at - make_interval(secs => least(6 * p_window_sec, 3600));
  gap_sec float8 := extract(epoch from p_at - p_row.measured_at);
  rate float8;
begin
  if gap_sec > 0 and p_row.measured_at > earliest then
    return greatest(0, p_row.arrivals_per_sec * exp(-gap_sec / p_window_sec)
      + (p_open - p_row.open_tasks + p_claims) / gap_sec * (1 - exp(-gap_sec / p_window_sec)));
  end if;
  select coalesce(sum(exp(-greatest(0, extract(epoch from p_at - since)::float8) / p_window_sec) / p_window_sec), 0) into rate
  from (
    select unnest(p_claimed) as since
    union all
    select line.since from pool_line(p_row.pool, p_types, 10000) as line) as arrived
  where since > earliest;
  return rate;
end $$;
select grant_to_service('arrival_rate(pool_measurements, integer, bigint, timestamptz[], timestamptz, float8, text[])');

-- One step of learning what waiting is worth, from the waits (in seconds) of the tasks that were claimed since the last step. It
-- is the formula of src/policy/latency/wait-target.ts, where p_target is described.
create or replace function learn_wait_value(p_pool text, p_target jsonb, p_waits real[]) returns void
language sql security definer set search_path = public, pg_temp as $$
  update pools set wait_value = greatest((p_target ->> 'lowest')::float8, least((p_target ->> 'highest')::float8,
    coalesce(wait_value, (p_target ->> 'first')::float8) * exp(least(100, greatest(-100, step)))))
  from (
    select (p_target ->> 'gain')::float8 * (count(*) filter (where wait > (p_target ->> 'target_sec')::float8)
      - (1 - (p_target ->> 'percentile')::float8 / 100) * count(*)) as step
    from unnest(p_waits) as wait) as learnt
  where name = p_pool
$$;
select grant_to_service('learn_wait_value(text, jsonb, real[])');

-- Brings the figures of a pool up to date. Ends and waits count when they are ten seconds old, because one may be seen as late as
-- its statement may last, 8 s. While the fleet's leases are the same, only p_full looks at the attempts: for those that came and
-- ended between two looks. Service times change slowly, so their figures are renewed every half a minute.
create or replace function renew_figures(
  p_pool text, p_row pool_measurements, p_open integer, p_fleet_hash text, p_full boolean, p_at timestamptz, p_target jsonb,
  p_types text[])
returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  counts boolean := p_full or p_fleet_hash is distinct from p_row.fleet_hash;
  -- After a clock was set back, nothing counts until the time is reached again that the figures have.
  up_to timestamptz := greatest(p_at - interval '10 seconds', p_row.counted_to);
  renews boolean := coalesce(p_row.services_at not between p_at - interval '30 seconds' and p_at, true);
  fresh jsonb := p_row.figures || demand_figures(p_pool, p_types);
  new_waits real[] := '{}';
  claims bigint := 0;
  claimed timestamptz[];
begin
  if counts then
    with recent as materialized (select * from attempts_since(p_pool, least(p_row.counted_to, p_at - interval '10 seconds'))),
    added as (
      insert into service_times (pool, task_type, model, gpu_type, ended_at, seconds)
      select p_pool, task_type, model, gpu_type, ended_at, greatest(0, extract(epoch from ended_at - started_at)::float8)
      from recent cross join lateral (
        select task_type, model from task_kinds where task_id = recent.task_id offset 0) as kind
      where ended_at > p_row.counted_to and ended_at <= up_to and cause in ('completed', 'delegated'))
    select
      coalesce(array_agg(greatest(0, extract(epoch from started_at - claimable_at))::real order by started_at)
        filter (where started_at > p_row.counted_to and started_at <= up_to and claimable_at is not null), '{}'),
      count(*) filter (where started_at > p_row.claims_to and started_at <= p_at),
      array_agg(coalesce(claimable_at, started_at)) filter (where started_at <= p_at)
    into new_waits, claims, claimed from recent;
    -- What started before the first look was not of this policy's making.
    if (p_target ->> 'learns')::boolean and p_row.measured_at is not null then
      perform learn_wait_value(p_pool, p_target, new_waits);
    end if;
  end if;
  if renews then
    perform trim_service_times(p_pool);
    fresh := fresh || service_figures(p_pool) || boot_figures(p_pool);
  end if;
  new_waits := p_row.waits || new_waits;
  update pool_measurements set measured_at = p_at, open_tasks = p_open, figures = fresh,
    counted_to = case when counts then up_to else counted_to end,
    claims_to = case when counts then p_at else claims_to end,
    fleet_hash = case when counts then p_fleet_hash else fleet_hash end,
    services_at = case when renews then p_at else services_at end,
    arrivals_per_sec = arrival_rate(p_row, p_open, claims, claimed, p_at, greatest(
      coalesce((fresh ->> 'mean_sec')::float8, 180), 3 * coalesce((fresh ->> 'boot_sec')::float8, 120)), p_types),
    waits = new_waits[greatest(1, cardinality(new_waits) - 399):]
  where pool = p_pool;
end $$;
select grant_to_service('renew_figures(text, pool_measurements, integer, text, boolean, timestamptz, jsonb, text[])');

-- The figures in the shape of src/policy/latency/measured.ts. The rate of the pool is shared out to the kinds as they are among
-- the tasks that are queued and running and the last 400 that ended. p_percentile: of the waits; null: no wait is answered.
create or replace function measured_answer(p_row pool_measurements, p_percentile float8) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  with parts as (
    select key, task_type, model, tasks from unnest(array['queued', 'running', 'recent']) as key, lateral
      jsonb_to_recordset(p_row.figures -> key) as part(task_type text, model text, tasks float8)),
  weighed as (
    select task_type, model, sum(tasks) as weight, coalesce(sum(tasks) filter (where key = 'queued'), 0) as queued
    from parts group by task_type, model
    union all
    select 'unknown', null, 1, 0 where not exists (select from parts)
    order by weight desc, task_type, model limit 100),
  demand as (
    select task_type, model, queued, p_row.arrivals_per_sec * weight / sum(weight) over () as arrivals from weighed),
  waited as (
    select count(*) as starts, percentile_cont(p_percentile / 100) within group (order by wait) as sec
    from unnest(p_row.waits) as wait)
  select jsonb_build_object(
    'measured_ms', to_ms(p_row.measured_at),
    'boot_sec', p_row.figures -> 'boot_sec', 'boots', p_row.figures -> 'boots',
    'services', p_row.figures -> 'services', 'speeds', p_row.figures -> 'speeds', 'coming', p_row.figures -> 'coming',
    'priors_sec', (select coalesce(jsonb_object_agg(name, expected_sec), '{}') from task_types where expected_sec is not null),
    'demand', (select coalesce(jsonb_agg(jsonb_build_object('task_type', task_type, 'model', model, 'queued', queued,
      'arrivals_per_sec', arrivals)), '[]') from demand where queued > 0 or arrivals > 0),
    'wait_value', (select wait_value from pools where name = p_row.pool),
    'waited', (select jsonb_build_object('starts', starts, 'sec', sec) from waited where starts >= 20 and sec is not null))
$$;
select grant_to_service('measured_answer(pool_measurements, float8)');

-- The figures of a pool, at most p_every_sec old unless another call renews them now. p_open, p_fleet_hash, p_types: its
-- claimable tasks, its fleet and what its workers can do, as pool_observe has just answered them. p_known_ms: the figures that
-- the caller has; the answer is null if they are still the newest, or if another call measures for the first time.
create or replace function pool_measure(
  p_pool text, p_open integer, p_fleet_hash text, p_full boolean, p_every_sec float8, p_target jsonb, p_known_ms bigint,
  p_types text[] default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pool_measurements;
  at timestamptz := clock_timestamp();
begin
  insert into pool_measurements (pool) select p_pool where not exists (select from pool_measurements where pool = p_pool)
  on conflict do nothing;
  select * into row from pool_measurements
  where pool = p_pool and (measured_at is null or measured_at not between at - make_interval(secs => p_every_sec) and at)
  for no key update skip locked;
  if found then
    perform renew_figures(p_pool, row, p_open, p_fleet_hash, p_full, at, p_target, p_types);
  end if;
  select * into row from pool_measurements where pool = p_pool;
  if row.measured_at is not null and to_ms(row.measured_at) is distinct from p_known_ms then
    return measured_answer(row, (p_target ->> 'percentile')::float8);
  end if;
  return null;
end $$;
select grant_to_service('pool_measure(text, integer, text, boolean, float8, jsonb, bigint, text[])');
