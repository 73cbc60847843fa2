-- Where pods were refused, and whether any place is left (service role only). src/policy/placement.ts decides by it.

create table if not exists placement_misses (
  pool text not null references pools (name) on delete cascade,
  gpu_type text not null,
  cloud text not null,
  data_center text not null,
  min_memory_gb integer not null,
  missed_at timestamptz not null default now(),
  reason text not null,
  primary key (pool, gpu_type, cloud, data_center, min_memory_gb)
);
comment on table placement_misses is
  'One row per place that refused a pod of this pool. It is not asked again for PLACEMENT_COOLDOWN_SEC.';
comment on column placement_misses.data_center is 'Empty: any data center.';
select secure_table('placement_misses');

-- Returns what the choice of a pod's place needs: the settings of its pool and of its job, the last refusals, and how long tasks
-- took on each GPU type as far as that was measured. Null: there is no such worker.
create or replace function worker_placement(p_worker_id text) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  select jsonb_build_object(
    'now_ms', to_ms(clock_timestamp()), 'config', p.config, 'environment', p.environment, 'decision_id', w.decision_id,
    'job', (select jsonb_build_object('purpose', j.purpose, 'details', j.details) from pod_jobs j where j.worker_id = w.id),
    'misses', (select coalesce(jsonb_agg(jsonb_build_object('gpu_type', m.gpu_type, 'cloud', m.cloud,
        'data_center', nullif(m.data_center, ''), 'min_memory_gb', m.min_memory_gb, 'at_ms', to_ms(m.missed_at))), '[]')
      from placement_misses m where m.pool = p.name),
    'speeds', coalesce((select m.figures -> 'speeds' from pool_measurements m where m.pool = p.name), '[]'))
  from workers w join pools p on p.name = w.pool where w.id = p_worker_id
$$;
select grant_to_service('worker_placement(text)');

-- p_place: {gpu_type, cloud, data_center, min_memory_gb}, as worker_begin_post got it.
create or replace function note_miss(p_pool text, p_place jsonb, p_reason text) returns void
language sql security definer set search_path = public, pg_temp as $$
  delete from placement_misses where pool = p_pool and missed_at < now() - interval '1 day';
  insert into placement_misses (pool, gpu_type, cloud, data_center, min_memory_gb, reason)
  values (p_pool, p_place ->> 'gpu_type', p_place ->> 'cloud', coalesce(p_place ->> 'data_center', ''),
    (p_place ->> 'min_memory_gb')::integer, left(p_reason, 500))
  on conflict (pool, gpu_type, cloud, data_center, min_memory_gb)
  do update set missed_at = now(), reason = excluded.reason
$$;
select grant_to_service('note_miss(text, jsonb, text)');

-- No place is left for this worker's pod. That says nothing about the worker, so the breaker does not count its end. The pod of a
-- job has settings of its own, so it says nothing about the pool's places.
create or replace function note_no_place(p_worker_id text, p_reason text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  in_pool text;
begin
  update workers set failed_on = 'place' where id = p_worker_id and status = 'spawning' and post_state is null
  returning case when origin = 'pool' then pool end into in_pool;
  update pools set no_place_since = coalesce(no_place_since, now()), no_place_reason = left(p_reason, 2000)
  where name = in_pool and (no_place_since is null or no_place_reason is distinct from left(p_reason, 2000));
  if found then
    perform journal(in_pool, 'placement.none', p_reason, p_worker_id);
  end if;
end $$;
select grant_to_service('note_no_place(text, text)');

-- A pod was created. A request that was sent before no place was found proves nothing.
create or replace function note_place(p_pool text, p_posted_at timestamptz) returns void
language sql security definer set search_path = public, pg_temp as $$
  update pools set no_place_since = null, no_place_reason = null
  where name = p_pool and no_place_since < p_posted_at
$$;
select grant_to_service('note_place(text, timestamptz)');
