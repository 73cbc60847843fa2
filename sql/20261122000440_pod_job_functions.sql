-- How pods for one job are booked, and what they report.

-- Books one pod for one job, under a name that the caller made, within the account's ceilings. The limits of the pool and its
-- breaker do not count. The same name is booked once. p_price_usd: what the pod costs an hour by the catalog; null: what the
-- pool's last one cost. Answers {outcome, reason}: reserved, already_reserved, over_budget, no_funds or volume_busy (another pod
-- prepares the same volume).
create or replace function reserve_pod_job(
  p_worker_id text, p_pool text, p_purpose text, p_details jsonb, p_timeout_sec integer, p_instance_type text,
  p_price_usd numeric default null, p_max_hourly_usd numeric default null, p_daily_usd numeric default null,
  p_no_funds_probe_min numeric default 5)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  volume text := p_details -> 'settings' ->> 'networkVolumeId';
  other text;
  last_try timestamptz;
  spend record;
  price numeric;
  outcome text := 'reserved';
  note text;
begin
  if p_worker_id is null or left(p_worker_id, -8) is distinct from p_pool || '-' or right(p_worker_id, 8) !~ '^[0-9a-f]{8}$' then
    perform refuse_argument('p_worker_id', 'the name of the pool, a dash and 8 hexadecimal digits are expected');
  end if;
  -- One request at a time, as in reserve_workers.
  perform pg_advisory_xact_lock(hashtextextended('gpu-pool: spend of the account', 0));
  if exists (select from workers where id = p_worker_id) then
    return jsonb_build_object('outcome', 'already_reserved', 'reason', null);
  end if;
  insert into pools (name) values (p_pool) on conflict (name) do nothing;
  select j.worker_id into other from pod_jobs j join workers w on w.id = j.worker_id
  where p_purpose = 'volume-prepare' and j.purpose = p_purpose and w.gone_at is null
    and j.details -> 'settings' ->> 'networkVolumeId' = volume limit 1;
  select tried_at into last_try from no_funds for update;
  if other is not null then
    outcome := 'volume_busy';
    note := format('pod %s prepares volume %s now', other, one_line(volume));
  elsif last_try > now() - make_interval(secs => p_no_funds_probe_min::float8 * 60) then
    outcome := 'no_funds';
    note := 'the provider refused the last pod for lack of funds';
  elsif p_max_hourly_usd is not null or p_daily_usd is not null then
    select * into spend from account_spend(p_pool);
    price := coalesce(p_price_usd, spend.price_usd);
    if spend.today_usd >= p_daily_usd or spend.hourly_usd + coalesce(price, 0) > p_max_hourly_usd
      or price is null and spend.unpriced > 0
    then
      outcome := 'over_budget';
    end if;
    note := concat_ws(', ', '$' || round(spend.hourly_usd, 2) || ' an hour' || coalesce(' of at most $' || p_max_hourly_usd, ''),
      '$' || round(spend.today_usd, 2) || ' today' || coalesce(' of at most $' || p_daily_usd, ''),
      coalesce('$' || trim_scale(price) || ' for this pod', 'price of this pod not known'));
  end if;
  if outcome = 'reserved' then
    insert into workers (id, pool, origin, instance_type, expected_usd_per_hr)
    values (p_worker_id, p_pool, 'job', p_instance_type, p_price_usd);
    insert into pod_jobs (worker_id, purpose, details, timeout_sec) values (p_worker_id, p_purpose, p_details, p_timeout_sec);
    update no_funds set tried_at = now();
  end if;
  perform journal(p_pool, 'job.reserved', concat_ws(': ', p_purpose, outcome, note), p_worker_id, null,
    jsonb_strip_nulls(jsonb_build_object('purpose', p_purpose, 'outcome', outcome, 'volume', volume)));
  return jsonb_build_object('outcome', outcome, 'reason', note);
end $$;
select grant_to_service('reserve_pod_job(text, text, text, jsonb, integer, text, numeric, numeric, numeric, numeric)');

-- The pod reports its job with its own credential: p_report says how far it is, p_state how it ended. The first report makes the
-- row active. The last report about a prepared volume holds the manifest, which is kept in prepared_volumes.
create or replace function pod_job_report(p_worker_id text, p_report jsonb, p_state text default 'running') returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  job pod_jobs;
begin
  perform require_worker(p_worker_id);
  if p_state is null or p_state not in ('running', 'done', 'failed') then
    perform refuse_argument('p_state', 'running, done or failed is expected');
  elsif p_report is null or jsonb_typeof(p_report) <> 'object' or length(p_report::text) > 100000 then
    perform refuse_argument('p_report', 'an object of at most 100,000 characters is expected');
  end if;
  perform worker_heartbeat(p_worker_id);
  update pod_jobs set report = p_report, state = p_state, reported_at = now(),
    ended_at = case when p_state <> 'running' then now() end
  where worker_id = p_worker_id and state = 'running'
  returning * into job;
  if job.purpose = 'volume-prepare' and job.state = 'done' and jsonb_typeof(p_report -> 'manifest') = 'object' then
    insert into prepared_volumes (volume_id, manifest, worker_id)
    values (job.details -> 'settings' ->> 'networkVolumeId', p_report -> 'manifest', p_worker_id)
    on conflict (volume_id) do update set manifest = excluded.manifest, worker_id = excluded.worker_id, prepared_at = now();
  end if;
  if job.state <> 'running' then
    perform journal((select pool from workers where id = p_worker_id), 'job.' || job.state,
      concat_ws(': ', job.purpose, job.state, one_line(p_report ->> 'error')), p_worker_id);
  end if;
  return jsonb_build_object('state', coalesce(job.state, (select state from pod_jobs where worker_id = p_worker_id), 'unknown'));
end $$;
select grant_to_everyone('pod_job_report(text, jsonb, text)');

-- A job whose pod is gone has ended, whatever the pod said.
create or replace function end_pod_job(p_worker_id text, p_reason text) returns void
language sql security definer set search_path = public, pg_temp as $$
  update pod_jobs set state = 'failed', ended_at = now(),
    report = report || jsonb_build_object('error', coalesce(p_reason, 'its pod is gone'))
  where worker_id = p_worker_id and state = 'running'
$$;
select grant_to_service('end_pod_job(text, text)');

-- Elects the one that may ask the provider for a new volume of this name. Names of volumes are not unique, so a second request
-- would make a second volume. A request without an answer is repeated only after p_settle_sec: until then lists may lack it.
-- Answers {elected, volume_id, asked_sec_ago}; not elected: another request was sent, and volume_id is what it made, if known.
create or replace function volume_request(p_name text, p_settle_sec integer) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  asked volume_requests;
begin
  insert into volume_requests (name) values (p_name)
  on conflict (name) do update set asked_at = now()
  where volume_requests.volume_id is null and volume_requests.asked_at < now() - make_interval(secs => p_settle_sec);
  if found then
    return jsonb_build_object('elected', true, 'volume_id', null, 'asked_sec_ago', 0);
  end if;
  select * into asked from volume_requests where name = p_name;
  return jsonb_build_object('elected', false, 'volume_id', asked.volume_id,
    'asked_sec_ago', floor(extract(epoch from now() - asked.asked_at)));
end $$;
select grant_to_service('volume_request(text, integer)');

-- Records the volume that the request made. A null p_volume_id says that no volume exists, so the name may be asked for again.
create or replace function volume_answered(p_name text, p_volume_id text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_volume_id is null then
    delete from volume_requests where name = p_name;
  else
    update volume_requests set volume_id = p_volume_id where name = p_name;
  end if;
end $$;
select grant_to_service('volume_answered(text, text)');
