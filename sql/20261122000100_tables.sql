-- The tables of the main job. Every object is granted and revoked explicitly in 20261122000500_security.sql.

create table pools (
  name text primary key check (name ~ '^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$'),
  mode text not null default 'normal' check (mode in ('normal', 'draining', 'paused', 'closing')),
  hold integer check (hold >= 0),
  hold_until timestamptz,
  intent_version bigint not null default 0,
  config jsonb not null default '{}',
  observed_at timestamptz,
  observing_since timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table pools is 'One row a pool: what operators want of it. Survives any restart of its workflow.';
comment on column pools.mode is 'draining: to zero gracefully, stay there; paused: no scaling either way; closing: as draining, until the next start.';
comment on column pools.hold is 'Fixed size asked for by an operator; null: the policy decides.';
comment on column pools.intent_version is 'Raised by every message; a reservation made under an older version is refused.';
comment on column pools.config is 'Partial settings of this pool, laid over the environment of the Temporal worker.';
comment on column pools.observing_since is 'Start of unbroken good observations: heartbeat ages never count from before it.';

create table projects (
  id uuid primary key default gen_random_uuid(),
  name text not null default 'default',
  user_id uuid,
  max_running integer check (max_running > 0),
  paused boolean not null default false,
  created_at timestamptz not null default now()
);
comment on column projects.max_running is 'Open plus running tasks of this project at a time; null: no limit.';

insert into projects (id, name) values ('00000000-0000-0000-0000-000000000000', 'default');

create table task_types (
  name text primary key,
  alias_of text references task_types (name),
  pool text not null default 'main',
  stuck_timeout_sec integer check (stuck_timeout_sec > 0),
  created_at timestamptz not null default now()
);
comment on column task_types.pool is 'Tasks of this type go to this pool unless the row names another.';
comment on column task_types.stuck_timeout_sec is 'Seconds without progress; null: TASK_STUCK_TIMEOUT_SEC.';

insert into task_types (name) values ('generate_video');
insert into task_types (name, alias_of) values ('video_generation', 'generate_video');

create table workers (
  id text primary key,
  pool text not null references pools (name),
  status text not null default 'spawning'
    check (status in ('spawning', 'active', 'terminating', 'terminated', 'error')),
  origin text not null default 'pool' check (origin in ('pool', 'external')),
  instance_type text,
  decision_id text,
  pod_id text,
  post_state text check (post_state in ('posting', 'posted', 'burned')),
  posted_at timestamptz,
  boot_stage text not null default 'reserved',
  boot_stage_at timestamptz not null default now(),
  token_hash text,
  token_expires_at timestamptz,
  created_at timestamptz not null default now(),
  ready_at timestamptz,
  last_heartbeat timestamptz,
  vram_total_mb integer,
  vram_used_mb integer,
  last_released_at timestamptz,
  last_signal text,
  last_signal_at timestamptz,
  status_reason text,
  terminating_at timestamptz,
  pod_created_at timestamptz,
  deleted_at timestamptz,
  gone_at timestamptz,
  cost_per_hr_usd numeric(10, 4),
  cost_usd numeric(12, 6),
  metadata jsonb not null default '{}'
) with (fillfactor = 70);
comment on column workers.post_state is 'posting: one create request is unresolved; burned: its name may never be used again.';
comment on column workers.boot_stage_at is 'SPAWNING_TIMEOUT_SEC counts from here.';
comment on column workers.gone_at is 'When the provider was seen to have no such pod. Until then the pod may bill.';
comment on column workers.token_hash is 'SHA-256 of the pod''s own credential.';
-- Serves the observation: the living fleet of one pool.
create index workers_living on workers (pool) where gone_at is null;
-- Serves the check of a worker's credential.
create unique index workers_token on workers (token_hash) where token_hash is not null;
-- Serves reserve_workers: a repeated decision finds what it booked.
create index workers_decision on workers (decision_id) where decision_id is not null;

create table tasks (
  id uuid primary key default gen_random_uuid(),
  task_type text not null,
  params jsonb not null default '{}',
  status text not null default 'Queued'
    check (status in ('Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled')),
  attempts integer not null default 0,
  worker_id text references workers (id),
  project_id uuid not null default '00000000-0000-0000-0000-000000000000' references projects (id),
  dependant_on uuid references tasks (id),
  priority integer not null default 0,
  pool text,
  gate text not null default 'open' check (gate in ('open', 'held', 'blocked')),
  vtime bigint not null default 0,
  output_location text,
  result_data jsonb,
  error_message text,
  generation_started_at timestamptz,
  generation_processed_at timestamptz,
  generation_created boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on column tasks.gate is 'open: may be claimed; held: its project is at its limit or paused; blocked: waits for dependant_on.';
comment on column tasks.vtime is 'Place in line among equal priorities (start-time fair queuing between projects).';
comment on column tasks.attempts is 'Attempts that count: raised at the claim, taken back when the cause was not the task''s.';
-- Serves claim and count: the head of the line of one pool.
create index tasks_open on tasks (pool, priority desc, vtime, id) where status = 'Queued' and gate = 'open';
-- Serves admission: a project's last place in line, its open count, its next held task.
create index tasks_project_line on tasks (project_id, gate, priority desc, vtime, id) where status = 'Queued';
-- Serves completion: what waited for this task.
create index tasks_blocked on tasks (dependant_on) where status = 'Queued' and gate = 'blocked';
-- Serves limits and the observation: what runs.
create index tasks_running on tasks (project_id) where status = 'In Progress';

create table task_attempts (
  id bigint generated always as identity primary key,
  task_id uuid not null references tasks (id) on delete cascade,
  attempt integer not null,
  worker_id text not null references workers (id),
  lease_token uuid not null default gen_random_uuid() unique,
  started_at timestamptz not null default now(),
  progress real,
  progress_message text,
  progress_at timestamptz,
  ended_at timestamptz,
  cause text check (cause in
    ('completed', 'task_error', 'worker_died', 'stuck', 'host_lost', 'drained', 'released', 'cancelled')),
  error text,
  unique (task_id, attempt),
  check ((ended_at is null) = (cause is null))
) with (fillfactor = 85);
comment on table task_attempts is 'One row a claim: a lease. Every write about a task is conditional on its token.';
-- A task has at most one open lease, and so has a worker; the latter serves drain and the observation.
create unique index task_attempts_open_task on task_attempts (task_id) where ended_at is null;
create unique index task_attempts_open_worker on task_attempts (worker_id) where ended_at is null;

create table pool_events (
  id bigint generated always as identity primary key,
  pool text not null,
  at timestamptz not null default now(),
  kind text not null,
  reason text not null,
  worker_id text,
  task_id uuid,
  decision_id text,
  details jsonb not null default '{}'
);
comment on table pool_events is 'The journal: every decision with its inputs and its reasons, every outcome.';
-- Serves the journal of one pool, newest first.
create index pool_events_pool on pool_events (pool, id desc);
