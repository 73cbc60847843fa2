-- Signs of life of the Temporal worker processes (gpu-pool run), and what is asked of them (service role only).

create table if not exists worker_processes (
  id uuid primary key,
  host text not null,
  pid integer,
  version text not null,
  task_queue text not null,
  leads boolean not null default false,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp()
);
comment on table worker_processes is
  'Temporal worker processes. One that stops removes its row; the row of a killed one stays for a day.';
comment on column worker_processes.started_at is 'The first sign of life, by the clock of the database, as seen_at is.';
comment on column worker_processes.leads is
  'This process does what only one may do. It leads until it stops or gives no sign of life for 30 seconds.';
select secure_table('worker_processes');
create unique index if not exists worker_processes_leader on worker_processes (leads) where leads;

create table if not exists wake_requests (
  pool text primary key references pools (name) on delete cascade,
  requested_at timestamptz not null default clock_timestamp(),
  taken_at timestamptz
);
comment on table wake_requests is 'Pools of which a worker process is asked to run one cycle. A request that was met has no row.';
comment on column wake_requests.taken_at is
  'When a worker process was told. Another one is told 15 seconds later, unless the first says that the cycle runs.';
select secure_table('wake_requests');

-- Opens the alert host_disk_full with less than a twentieth of the disk left, and closes it with more than 7 in 100, so that a
-- disk at the limit is told of once. The alert of a host whose processes are gone closes after ten minutes.
create or replace function note_disk(p_host text, p_free_part double precision) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_free_part < 0.05 then
    perform open_alert('host_disk_full', p_host, null, 'less than 5 % of the disk of this Temporal worker''s host are free');
  end if;
  perform close_alert('host_disk_full', a.subject) from alerts a
  where a.kind = 'host_disk_full' and a.closed_at is null and (a.subject = p_host and p_free_part > 0.07 or not exists (
    select from worker_processes where host = a.subject and seen_at > clock_timestamp() - interval '10 minutes'));
end $$;
select grant_to_service('note_disk(text, double precision)');

-- A worker process says every five seconds that it lives, and for which pools it has met a request (p_woken); p_disk_free: the
-- free part of its disk, null: not known. Answers {leader, wake}: whether it leads, and the pools that it has to run a cycle for.
create or replace function process_beat(
  p_process uuid, p_host text, p_pid integer, p_version text, p_task_queue text, p_woken text[] default '{}',
  p_disk_free double precision default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  is_leader boolean;
  to_wake jsonb;
begin
  -- One at a time, because two that do not see each other's rows would both lead.
  perform pg_advisory_xact_lock(hashtextextended('gpu-pool: beats of worker processes', 0));
  insert into worker_processes (id, host, pid, version, task_queue)
  values (p_process, left(p_host, 300), p_pid, left(p_version, 100), left(p_task_queue, 300))
  on conflict (id) do update set seen_at = clock_timestamp();
  update worker_processes set leads = false where leads and seen_at < clock_timestamp() - interval '30 seconds';
  update worker_processes set leads = true
  where id = p_process and not exists (select from worker_processes where leads);
  select leads into is_leader from worker_processes where id = p_process;
  perform close_alert('no_worker_process', 'deployment');
  perform note_disk(left(p_host, 300), p_disk_free);

  delete from wake_requests where pool = any (p_woken) and requested_at <= taken_at;
  -- It was asked again after the cycle had begun.
  update wake_requests set taken_at = null where pool = any (p_woken);
  with told as (
    update wake_requests set taken_at = clock_timestamp()
    where taken_at is null or taken_at < clock_timestamp() - interval '15 seconds'
    returning pool)
  select coalesce(jsonb_agg(pool order by pool), '[]') into to_wake from told;
  return jsonb_build_object('leader', is_leader, 'wake', to_wake);
end $$;
select grant_to_service('process_beat(uuid, text, integer, text, text, text[], double precision)');

-- A worker process stops: another one leads from its next beat on.
create or replace function process_end(p_process uuid) returns void
language sql security definer set search_path = public, pg_temp as $$
  delete from worker_processes where id = p_process
$$;
select grant_to_service('process_end(uuid)');

-- The processes that gave a sign of life within a minute, the oldest first.
create or replace function living_processes() returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('host', host, 'pid', pid, 'version', version, 'task_queue', task_queue,
    'leads', leads, 'started_ms', to_ms(started_at), 'seen_ms', to_ms(seen_at)) order by started_at, id), '[]')
  from worker_processes where seen_at > now() - interval '1 minute'
$$;
select grant_to_service('living_processes()');

alter table deployment add column if not exists wake_hash text;
comment on column deployment.wake_hash is
  'SHA-256, hexadecimal, of the secret with which the edge function orchestrator-wake may be called; null: nobody may.';

-- Null: nobody may wake pools from now on.
create or replace function set_wake_secret(p_secret text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_secret !~ '^[!-~]{32,200}$' then
    perform refuse_argument('p_secret', 'expected 32 to 200 letters, digits and signs, without spaces');
  end if;
  -- Hosted projects refuse an update without a condition.
  update deployment set wake_hash = encode(sha256(convert_to(p_secret, 'utf8')), 'hex') where is_only;
end $$;
select grant_to_service('set_wake_secret(text)');

-- Asks that a worker process runs one cycle of the pool; without a name of main, or of the only pool. Requests that nobody
-- has taken count as one. Answers {pool, outcome}: requested; runs: the pool's workflow runs without an end, or the janitor
-- brings it back; shut_down: an operator ended it; no_process: nobody lives who could run it, and the alert
-- no_worker_process is open.
create or replace function request_wake(p_secret text, p_pool text default null) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  found_pools text[];
  row pools;
begin
  if not exists (
    select from deployment where wake_hash = encode(sha256(convert_to(p_secret, 'utf8')), 'hex'))
  then
    raise exception 'the secret is not the one that may wake pools' using errcode = 'PT401',
      hint = 'It is set by sql/optional/pg_cron_wake.sql, or by set_wake_secret.';
  end if;
  select array_agg(name order by name) into found_pools from pools;
  select * into row from pools where name = coalesce(p_pool,
    case when 'main' = any (found_pools) or cardinality(found_pools) is distinct from 1 then 'main' else found_pools[1] end);
  if not found then
    raise exception 'pool % does not exist', one_line(coalesce(p_pool, 'main')) using errcode = 'PT404', detail = 'pool',
      hint = case when found_pools is null then 'There is none yet: gpu-pool cycle makes one.'
        else 'There are: ' || array_to_string(found_pools[:20], ', ') end;
  end if;
  if row.mode = 'closing' then
    return jsonb_build_object('pool', row.name, 'outcome', 'shut_down');
  end if;
  if not exists (select from worker_processes where seen_at > clock_timestamp() - interval '1 minute') then
    perform open_alert('no_worker_process', 'deployment', null,
      'a cycle was asked for, and no Temporal worker process has given a sign of life for a minute');
    return jsonb_build_object('pool', row.name, 'outcome', 'no_process');
  end if;
  if row.should_run then
    return jsonb_build_object('pool', row.name, 'outcome', 'runs');
  end if;
  insert into wake_requests (pool) values (row.name)
  on conflict (pool) do update set requested_at = clock_timestamp() where wake_requests.taken_at is not null;
  return jsonb_build_object('pool', row.name, 'outcome', 'requested');
end $$;
select grant_to_service('request_wake(text, text)');
