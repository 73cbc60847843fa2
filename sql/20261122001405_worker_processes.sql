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

-- A worker process says every five seconds that it lives, and for which pools it has met a request (p_woken). Answers
-- {leader, wake}: whether it leads, and the pools that it has to run a cycle for.
create or replace function process_beat(
  p_process uuid, p_host text, p_pid integer, p_version text, p_task_queue text, p_woken text[] default '{}')
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
select grant_to_service('process_beat(uuid, text, integer, text, text, text[])');

-- A worker process stops: another one leads from its next beat on.
create or replace function process_end(p_process uuid) returns void
language sql security definer set search_path = public, pg_temp as $$
  delete from worker_processes where id = p_process
$$;
select grant_to_service('process_end(uuid)');
