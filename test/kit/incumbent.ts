/** The incumbent orchestrator's tables with data, with the column `status` as text or as an enum. */
export function incumbentSchema(status: "text" | "enum"): string {
  const type = status === "enum" ? "task_status" : "text";
  return `${tables(status, type)}\n${data(type)}`;
}

function tables(status: "text" | "enum", type: string): string {
  return `
${status === "enum" ? "create type task_status as enum ('Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled');" : ""}
create table users (id uuid primary key default gen_random_uuid(), credits numeric default 0);
create table projects (
  id uuid primary key default gen_random_uuid(), name text not null, user_id uuid not null references users (id), settings jsonb);
create table task_types (
  id uuid primary key default gen_random_uuid(), name text not null unique, run_type text not null default 'gpu',
  category text, is_active boolean default true);
create table workers (
  id text primary key, instance_type text not null, status text not null default 'inactive'
    check (status in ('inactive', 'active', 'spawning', 'terminating', 'error', 'terminated')),
  created_at timestamptz default now(), last_heartbeat timestamptz default now(), metadata jsonb default '{}');
create table tasks (
  id uuid primary key default gen_random_uuid(), task_type text not null, params jsonb not null,
  status ${type} not null default 'Queued', dependant_on uuid references tasks (id), output_location text,
  created_at timestamptz not null default now(), updated_at timestamptz, project_id uuid not null references projects (id),
  worker_id text, generation_started_at timestamptz, generation_processed_at timestamptz,
  generation_created boolean default false, attempts integer default 0, error_message text, result_data jsonb,
  copied_from_share text);
create table generations (id uuid primary key default gen_random_uuid(), task_id uuid references tasks (id), location text);
create table system_logs (
  id uuid primary key default gen_random_uuid(), timestamp timestamptz not null default now(), source_type text not null,
  source_id text not null, log_level text not null, message text not null, task_id uuid, worker_id text, cycle_number integer,
  metadata jsonb default '{}',
  constraint valid_log_level check (log_level in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
  constraint valid_source_type check (source_type in ('orchestrator_gpu', 'orchestrator_api', 'worker')));
create index idx_system_logs_timestamp on system_logs (timestamp desc);
create view v_recent_errors as
  select source_id, count(*) as error_count from system_logs where log_level = 'ERROR' group by source_id;
grant select, insert on system_logs to anon, authenticated;
alter table projects enable row level security;
alter table tasks enable row level security;
create policy "tasks are visible" on tasks for select to authenticated using (true);
create policy "own or shared" on projects for select using (true);
create policy "anyone reads logs" on system_logs for select using (true);
create index idx_workers_status_heartbeat on workers (status, last_heartbeat);
create index idx_tasks_status_worker on tasks (status, worker_id);
create view orchestrator_status as select count(*) as queued_tasks from tasks where status = 'Queued';
create view active_workers_health as select id, status, last_heartbeat from workers where status = 'active';
create function func_claim_available_task(worker_id_param text)
  returns table (id uuid, params jsonb, task_type text) language sql as $$ select id, params, task_type from tasks limit 1 $$;`;
}

function data(type: string): string {
  return `
insert into users (id) values ('11111111-0000-0000-0000-000000000001');
insert into projects (id, name, user_id, settings)
  values ('22222222-0000-0000-0000-000000000001', 'films', '11111111-0000-0000-0000-000000000001', '{"fps": 16}');
insert into task_types (name, run_type) values ('vace', 'gpu'), ('image-upscale', 'api');
insert into workers (id, instance_type, status, last_heartbeat, created_at, metadata) values
  ('gpu-living', 'RTX 4090', 'active', now(), now() - interval '1 day', '{"runpod_id": "abc"}'),
  ('gpu-booting', 'RTX 4090', 'inactive', null, now(), '{"orchestrator_status": "spawning"}'),
  ('gpu-silent', 'RTX 4090', 'active', now() - interval '2 days', now() - interval '3 days', '{}'),
  ('gpu-ended', 'RTX 4090', 'terminated', now() - interval '9 days', now() - interval '10 days', '{}');
insert into tasks (id, task_type, params, status, worker_id, project_id, dependant_on, created_at, attempts, output_location)
select ('33333333-0000-0000-0000-00000000000' || n)::uuid, type, params::jsonb, status::${type}, worker,
  '22222222-0000-0000-0000-000000000001',
  case when parent is not null then ('33333333-0000-0000-0000-00000000000' || parent)::uuid end,
  now() - make_interval(hours => 10 - n), attempts, output
from (values
  (1, 'vace', '{"prompt": "done"}', 'Complete', 'gpu-ended', null, 0, 'https://old.example/1.mp4'),
  (2, 'vace', '{"prompt": "runs"}', 'In Progress', 'gpu-living', null, 0, null),
  (3, 'travel_orchestrator', '{}', 'In Progress', 'gpu-living', null, 0, null),
  (4, 'vace', '{"prompt": "first"}', 'Queued', null, 1, 1, null),
  (5, 'vace', '{"prompt": "second"}', 'Queued', null, null, null, null),
  (6, 'vace', '{"prompt": "waits"}', 'Queued', null, 2, 0, null),
  (7, 'image-upscale', '{}', 'Queued', null, null, 0, null),
  (8, 'vace', '{}', 'Failed', 'a-worker-never-recorded', null, 3, 'an error text'),
  (9, 'vace', '{}', 'Queued', null, 8, 0, null)
) as t(n, type, params, status, worker, parent, attempts, output) order by n;
insert into system_logs (source_type, source_id, log_level, message, worker_id, metadata, timestamp)
select 'worker', 'gpu-living', 'INFO', 'old line ' || n, 'gpu-living', case when n > 1 then '{}'::jsonb end,
  now() - make_interval(mins => 10 - n) from unnest(array[3, 1, 2]) as n;
insert into generations (task_id, location) values ('33333333-0000-0000-0000-000000000001', 'https://old.example/1.mp4');`;
}
