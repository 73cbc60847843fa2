-- Columns for failures that concern more than one attempt: workers that report themselves broken, the limits of stuck tasks,
-- and tasks that failed because another task did.

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

comment on column task_types.stuck_timeout_sec is
  'Seconds without progress after which a task of this type is stuck. Null: TASK_STUCK_TIMEOUT_SEC, or an hour where the '
  'worker reports no progress.';
