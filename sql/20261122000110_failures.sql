-- Columns for failures that concern more than one attempt: workers that report themselves broken, attempts without
-- progress reports, and tasks that failed because another task did.

alter table workers
  add column if not exists broken_at timestamptz,
  add column if not exists broken_reason text;
comment on column workers.broken_at is
  'When the worker reported itself broken. Claims refuse it from then on, and the watch ends it.';
comment on column workers.broken_reason is 'The report in the worker''s own words.';

alter table tasks
  add column if not exists failed_by uuid,
  add column if not exists reopened_at timestamptz;
comment on column tasks.failed_by is
  'The task whose end failed or cancelled this one: its predecessor, its sub-task or its orchestrator task. Null: none.';
comment on column tasks.reopened_at is
  'When the failures of a sick worker at this task were taken back, which happens once. Only a change of this column lets an '
  'ended task change its status.';

do $$
begin
  if not exists (select from pg_attribute
    where attrelid = 'task_attempts'::regclass and attname = 'reports_progress' and not attisdropped)
  then
    alter table task_attempts add column reports_progress boolean not null default true;
    -- Older leases may be those of an older orchestrator. A report with the lease token corrects one that is not.
    update task_attempts set reports_progress = false where ended_at is null;
    -- As at each claim: what a later write finds here is a new error.
    update tasks set error_message = null, error_details = null
    where status = 'In Progress' and (error_message is not null or error_details is not null);
  end if;
end $$;
comment on column task_attempts.reports_progress is
  'False: claimed by the old protocol, in which a worker reports no progress, and no report has come with the lease token. '
  'Then the limit of open_leases is that of the task type.';

comment on column task_types.stuck_timeout_sec is
  'Seconds without progress after which a task of this type is stuck. Null: TASK_STUCK_TIMEOUT_SEC, or an hour where the '
  'worker reports no progress.';

-- Every rule about stuck tasks takes its limit from here.
create or replace view open_leases with (security_invoker = true) as
select a.task_id, a.attempt, a.worker_id, a.lease_token, a.started_at, a.progress, a.progress_at,
  coalesce(k.stuck_timeout_sec, case when not a.reports_progress then 3600 end) as stuck_timeout_sec
from task_attempts a
join tasks t on t.id = a.task_id
left join task_types k on k.name = t.task_type
where a.ended_at is null;
comment on view open_leases is 'Each task that a worker holds, with the seconds without progress after which it is stuck.';
comment on column open_leases.stuck_timeout_sec is 'Null: TASK_STUCK_TIMEOUT_SEC.';
select secure_view('open_leases');

-- Full passes: the latest failures of all workers.
create index if not exists task_attempts_failed on task_attempts (ended_at) where cause in ('task_error', 'stuck');
