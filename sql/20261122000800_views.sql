-- Views for people and dashboards, with the rights of the caller. They replace the views of an older orchestrator.

drop view if exists orchestrator_status, active_workers_health, recent_task_activity, worker_performance,
  task_queue_analysis, normalized_task_status, v_recent_errors, v_worker_log_activity, task_costs, worker_costs;

create view worker_costs with (security_invoker = true) as
select w.id as worker_id, w.pool, w.status, w.instance_type, w.cost_per_hr_usd, w.gone_at is not null as booked,
  case
    when w.gone_at is not null then w.cost_usd
    when w.pod_created_at is null then 0
    else round(w.cost_per_hr_usd * extract(epoch from coalesce(w.deleted_at, now()) - w.pod_created_at)::numeric / 3600, 6)
  end as cost_usd,
  extract(epoch from coalesce(w.deleted_at, w.gone_at, now()) - w.pod_created_at) as billed_sec,
  coalesce(a.busy_sec, 0) as busy_sec, coalesce(a.tasks, 0) as tasks
from workers w
left join (
  select worker_id, sum(extract(epoch from coalesce(ended_at, now()) - started_at)) as busy_sec, count(distinct task_id) as tasks
  from task_attempts group by worker_id) as a on a.worker_id = w.id;
comment on view worker_costs is
  'What each worker has cost, in USD: the booked cost once its pod was seen gone, until then the cost so far.';
comment on column worker_costs.cost_usd is 'Null where the price is not known.';
comment on column worker_costs.busy_sec is 'Seconds for which it held a task.';
select secure_view('worker_costs');

create view task_costs with (security_invoker = true) as
select t.id as task_id, t.project_id, t.task_type, t.status, count(a.task_id) as attempts,
  coalesce(sum(a.held_sec), 0) as busy_sec,
  case when bool_or(c.worker_id is not null and c.cost_usd is null) then null else coalesce(round(sum(
    c.cost_usd * case when c.busy_sec > 0 then a.held_sec / c.busy_sec else 1.0 / c.tasks end), 6), 0) end as cost_usd
from tasks t
left join (
  select task_id, worker_id, extract(epoch from coalesce(ended_at, now()) - started_at) as held_sec from task_attempts
) as a on a.task_id = t.id
left join worker_costs c on c.worker_id = a.worker_id
group by t.id;
comment on view task_costs is
  'Cost of each task in USD: for each worker that held it, the part of the worker''s cost in proportion to the time held. '
  'Idle time is shared out too.';
comment on column task_costs.busy_sec is 'Seconds for which workers held it, over all attempts.';
comment on column task_costs.cost_usd is 'Grows while one of its workers lives; null where a price is not known.';
select secure_view('task_costs');

create view normalized_task_status with (security_invoker = true) as
select id as task_id, project_id, task_type, status,
  case status::text
    when 'Queued' then 'queued' when 'In Progress' then 'in_progress' when 'Complete' then 'completed'
    when 'Failed' then 'failed' when 'Cancelled' then 'cancelled' end as normalized_status,
  case
    when status = 'Queued' and gate = 'open' then 'waits for a worker'
    when status = 'Queued' and gate = 'held' then 'waits for its project''s limit or pause'
    when status = 'Queued' and gate = 'blocked' and after_siblings then 'waits for all other sub-tasks of task ' || parent_id
    when status = 'Queued' and gate = 'blocked' then 'waits for task ' || dependant_on
    when status = 'Queued' and gate = 'delayed' and waits_for_another(id, leases) is not null
      then 'waits for another worker than ' || waits_for_another(id, leases) || ', which failed it and others before'
    when status = 'Queued' and gate = 'delayed'
      then 'waits until ' || delayed_until || ': its workers handed it back without progress'
    when delegated_at is not null then 'waits for its sub-tasks'
    when status = 'In Progress' then 'held by worker ' || coalesce(worker_id, '(none)')
    when status = 'Failed' then left(error_message, 500) end as detail,
  worker_id, attempts, created_at, updated_at
from tasks;
comment on view normalized_task_status is
  'Each task''s status in lower case, as some programs spell it, and what the task waits for, in words.';
select secure_view('normalized_task_status');

create view task_queue_analysis with (security_invoker = true) as
select pool, task_type,
  count(*) filter (where status = 'Queued' and gate = 'open') as claimable,
  count(*) filter (where status = 'Queued' and gate = 'held') as held,
  count(*) filter (where status = 'Queued' and gate = 'blocked') as blocked,
  count(*) filter (where status = 'Queued' and gate = 'delayed') as delayed,
  count(*) filter (where status = 'In Progress' and delegated_at is null) as running,
  count(*) filter (where delegated_at is not null) as delegated,
  extract(epoch from now() - min(created_at) filter (where status = 'Queued')) as oldest_queued_sec,
  extract(epoch from now() - min(generation_started_at) filter (where status = 'In Progress' and delegated_at is null))
    as longest_running_sec
from tasks
where status in ('Queued', 'In Progress')
group by pool, task_type;
comment on view task_queue_analysis is 'Number of tasks by pool and task type. claimable is the number that the pool counts.';
select secure_view('task_queue_analysis');

create view recent_task_activity with (security_invoker = true) as
select t.id as task_id, t.task_type, t.project_id, t.pool, t.status, t.worker_id, t.attempts, t.created_at,
  t.generation_started_at, t.generation_processed_at,
  extract(epoch from t.generation_started_at - t.created_at) as waiting_sec,
  extract(epoch from t.generation_processed_at - t.generation_started_at) as processing_sec,
  t.output_location, t.error_message, t.updated_at
from tasks t
where t.updated_at > now() - interval '24 hours'
order by t.updated_at desc;
comment on view recent_task_activity is 'Tasks that changed in the last 24 hours, latest first.';
select secure_view('recent_task_activity');

create view active_workers_health with (security_invoker = true) as
select w.id as worker_id, w.pool, w.origin, w.status, w.boot_stage,
  extract(epoch from now() - w.last_heartbeat) as heartbeat_age_sec,
  extract(epoch from now() - coalesce(w.ready_at, w.created_at)) as age_sec,
  w.vram_total_mb, w.vram_used_mb, round(100.0 * w.vram_used_mb / nullif(w.vram_total_mb, 0), 1) as vram_used_percent,
  a.task_id as current_task_id, extract(epoch from now() - a.started_at) as task_running_sec,
  extract(epoch from now() - coalesce(a.progress_at, a.started_at)) as since_progress_sec, a.progress,
  case when a.task_id is null and w.status = 'active' then extract(epoch from now() - coalesce(
    greatest((select max(lease_ended_at) from tasks where worker_id = w.id),
      (select max(ended_at) from ended_attempts where worker_id = w.id)), w.ready_at, w.created_at)) end as idle_sec,
  w.metadata ->> 'reported_status' as reported_status, w.status_reason
from workers w
left join open_leases a on a.worker_id = w.id
where w.status in ('spawning', 'active', 'terminating') and w.gone_at is null;
comment on view active_workers_health is
  'Living workers: heartbeat, GPU memory and current task. Ages in seconds, by the database''s clock.';
comment on column active_workers_health.reported_status is
  'The last status that the worker''s program or another program reported. It does not change the status.';
select secure_view('active_workers_health');

create view worker_performance with (security_invoker = true) as
select w.id as worker_id, w.pool, w.status, w.instance_type,
  count(a.task_id) as attempts,
  count(a.task_id) filter (where a.cause = 'completed') as completed,
  count(a.task_id) filter (where a.cause in ('task_error', 'worker_died', 'stuck')) as failed,
  round(100.0 * count(a.task_id) filter (where a.cause = 'completed')
    / nullif(count(a.task_id) filter (where a.cause in ('completed', 'task_error', 'worker_died', 'stuck')), 0),
    1) as success_percent,
  round(avg(extract(epoch from a.ended_at - a.started_at)) filter (where a.cause = 'completed'), 3) as mean_processing_sec,
  round(count(a.task_id) filter (where a.cause = 'completed') * 3600.0
    / nullif(extract(epoch from coalesce(w.gone_at, now()) - w.ready_at), 0), 2) as completed_per_hour,
  extract(epoch from w.ready_at - w.created_at) as boot_sec, c.cost_usd,
  round(c.cost_usd / nullif(count(a.task_id) filter (where a.cause = 'completed'), 0), 6) as cost_per_completed_usd
from workers w
left join task_attempts a on a.worker_id = w.id
left join worker_costs c on c.worker_id = w.id
group by w.id, c.cost_usd;
comment on view worker_performance is
  'Attempts of each worker, living or ended. Released, drained and cancelled attempts count neither as completed nor as failed.';
select secure_view('worker_performance');

create view orchestrator_status with (security_invoker = true) as
select p.name as pool, p.mode, p.hold, p.observed_at, extract(epoch from now() - p.observed_at) as observed_age_sec,
  coalesce(q.queued, 0) as queued, coalesce(q.waiting, 0) as waiting, coalesce(q.running, 0) as running,
  coalesce(q.delegated, 0) as delegated,
  coalesce(f.spawning, 0) as spawning, coalesce(f.active, 0) as active, coalesce(f.busy, 0) as busy,
  coalesce(f.terminating, 0) as terminating, coalesce(f.error, 0) as error, coalesce(f.rate, 0) as cost_per_hr_usd
from pools p
left join (
  select pool, sum(claimable) as queued, sum(held + blocked + delayed) as waiting, sum(running) as running,
    sum(delegated) as delegated
  from task_queue_analysis group by pool) as q on q.pool = p.name
left join (
  select w.pool, count(*) filter (where w.status = 'spawning') as spawning, count(*) filter (where w.status = 'active') as active,
    count(*) filter (where a.task_id is not null) as busy, count(*) filter (where w.status = 'terminating') as terminating,
    count(*) filter (where w.status = 'error') as error, sum(w.cost_per_hr_usd) filter (where w.pod_id is not null) as rate
  from workers w left join open_leases a on a.worker_id = w.id
  where w.gone_at is null group by w.pool) as f on f.pool = p.name;
comment on view orchestrator_status is 'One row per pool: its intent, queue and fleet now.';
comment on column orchestrator_status.cost_per_hr_usd is 'Price per hour of all pods that were not seen gone, in USD.';
select secure_view('orchestrator_status');

create view v_recent_errors with (security_invoker = true) as
select id, timestamp, source_type, source_id, log_level, message, task_id, worker_id, metadata
from system_logs
where log_level in ('ERROR', 'CRITICAL') and timestamp > now() - interval '24 hours'
order by timestamp desc;
comment on view v_recent_errors is 'Errors in the logs of the last 24 hours, latest first.';
select secure_view('v_recent_errors');

create view v_worker_log_activity with (security_invoker = true) as
select worker_id, count(*) as lines, count(*) filter (where log_level = 'WARNING') as warnings,
  count(*) filter (where log_level in ('ERROR', 'CRITICAL')) as errors, min(timestamp) as first_line_at,
  max(timestamp) as last_line_at, extract(epoch from now() - max(timestamp)) as silent_sec
from system_logs
where worker_id is not null and timestamp > now() - interval '24 hours'
group by worker_id;
comment on view v_worker_log_activity is 'Log lines of each worker in the last 24 hours.';
select secure_view('v_worker_log_activity');
