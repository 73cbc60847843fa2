-- Attempts are leases. The open attempt of a task stands in the task's own row, where finish_task leaves it when it completes
-- the task; an attempt that ended in any other way is a row of ended_attempts. So a claim and a completion each write one row.

comment on column tasks.leases is 'How often the task was claimed: the number of its last attempt.';
comment on column tasks.lease_token is
  'Token of the open attempt, or of the one that finish_task completed; null: there is none. The attempt is open while '
  'lease_ended_at is null. It opens nothing without the credential of the worker that holds the task.';
comment on column tasks.leased_at is 'When the open or the completed attempt began.';
comment on column tasks.lease_ended_at is 'When the completed attempt ended.';
comment on column tasks.claimable_at is 'Since when the task could be claimed: its last change before the last claim.';
comment on column tasks.progress is 'A fraction from 0 to 1 that the last attempt has reported.';
comment on column tasks.reports_progress is
  'False: claimed by the old protocol, in which a worker reports no progress, and no report has come with the lease token. '
  'Then the limit of open_leases is that of the task type.';

-- Postgres parses a CHECK again in each statement that writes, which slows claims and completions; a domain is parsed
-- once per session. So triggers check tasks, and a domain checks causes.
do $$
begin
  if to_regtype('attempt_cause') is null then
    create domain attempt_cause as text check (value in
      ('completed', 'task_error', 'worker_died', 'stuck', 'host_lost', 'drained', 'released', 'cancelled', 'delegated'));
  end if;
end $$;

-- tasks.worker_id has no foreign key: a claim has just locked its worker's row, and the check would lock it once more, which
-- takes a twentieth of the time of a claim and its completion. tasks_added_directly and update_directly let no other program
-- name a worker that is not there, and workers_keep_attempts keeps the workers that are named.

-- No foreign key to workers here either: its check would lock the worker's row after the task's, and all else locks them in the
-- opposite order.
create table if not exists ended_attempts (
  task_id uuid not null references tasks (id) on delete cascade,
  attempt integer not null,
  worker_id text not null,
  lease_token uuid not null,
  started_at timestamptz not null,
  claimable_at timestamptz,
  progress real,
  progress_message text,
  progress_at timestamptz,
  ended_at timestamptz not null default now(),
  cause attempt_cause not null,
  error text,
  reports_progress boolean not null default true,
  primary key (task_id, attempt)
);
alter table ended_attempts add column if not exists put_back boolean not null default false;
comment on column ended_attempts.put_back is
  'True: the failure would have been final, but its worker had failed other tasks before. The task waits for another worker.';
comment on table ended_attempts is
  'One row per attempt that did not end by finish_task, written once. The view task_attempts shows all attempts.';
select secure_table('ended_attempts');
-- A row that is written beforehand would keep the attempt of that number from ending.
revoke insert, update on ended_attempts from service_role;
-- Observation: since when a worker is idle.
create index if not exists ended_attempts_released on ended_attempts (worker_id, ended_at);
-- Full passes: the latest failures of all workers.
create index if not exists ended_attempts_failed on ended_attempts (ended_at) where cause in ('task_error', 'stuck');

create or replace view task_attempts with (security_invoker = true) as
select id as task_id, leases as attempt, worker_id, lease_token, leased_at as started_at, claimable_at, progress,
  progress_message, progress_at, lease_ended_at as ended_at,
  case when lease_ended_at is not null then 'completed' end::attempt_cause as cause, null::text as error, reports_progress
from tasks where lease_token is not null
union all
select task_id, attempt, worker_id, lease_token, started_at, claimable_at, progress, progress_message, progress_at, ended_at,
  cause, error, reports_progress
from ended_attempts;
comment on view task_attempts is
  'One row per claim, which is a lease: the open ones, the completed ones and those of ended_attempts. Every write about a task '
  'requires the token of its lease.';
select secure_view('task_attempts');

-- Every rule about stuck tasks takes its limit from here.
create or replace view open_leases with (security_invoker = true) as
select t.id as task_id, t.leases as attempt, t.worker_id, t.lease_token, t.leased_at as started_at, t.progress, t.progress_at,
  coalesce(k.stuck_timeout_sec, case when not t.reports_progress then 3600 end) as stuck_timeout_sec, t.task_type,
  case when jsonb_typeof(t.params -> 'model') = 'string' then left(t.params ->> 'model', 100)
    when jsonb_typeof(t.params -> 'model_name') = 'string' then left(t.params ->> 'model_name', 100) end as model
from tasks t
left join task_types k on k.name = t.task_type
where t.lease_token is not null and t.lease_ended_at is null;
comment on view open_leases is 'Each task that a worker holds, with the seconds without progress after which it is stuck.';
comment on column open_leases.stuck_timeout_sec is 'Null: TASK_STUCK_TIMEOUT_SEC.';
comment on column open_leases.model is 'As in the view task_kinds, which would cost the observation of a large fleet a join.';
select secure_view('open_leases');

-- Writes down the open attempt of this task. The caller takes the token out of the task's row in the same transaction.
create or replace function record_attempt(p_task tasks, p_cause text, p_error text default null) returns void
language sql security definer set search_path = public, pg_temp as $$
  insert into ended_attempts (task_id, attempt, worker_id, lease_token, started_at, claimable_at, progress, progress_message,
    progress_at, cause, error, reports_progress)
  values (p_task.id, p_task.leases, p_task.worker_id, p_task.lease_token, p_task.leased_at, p_task.claimable_at, p_task.progress,
    p_task.progress_message, p_task.progress_at, p_cause, p_error, p_task.reports_progress)
$$;
select grant_to_service('record_attempt(tasks, text, text)');
