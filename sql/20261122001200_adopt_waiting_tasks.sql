-- A running orchestrator task of an older orchestrator waits for its sub-tasks from now on, like one that was claimed
-- here. Such a task has no attempt, because every claim here creates one.
update tasks child set parent_id = parent.id
from tasks parent
where parent.status = 'In Progress' and parent.delegated_at is null and parent.task_type like '%orchestrator%'
  and parent.leases = 0
  and lower(child.params ->> 'orchestrator_task_id_ref') = parent.id::text
  and child.project_id = parent.project_id and child.id <> parent.id and child.parent_id is null;

update tasks parent set delegated_at = now(), worker_id = null
where status = 'In Progress' and delegated_at is null and task_type like '%orchestrator%'
  and parent.leases = 0
  and exists (select from tasks where parent_id = parent.id);

-- A task never runs that waits for a task that is not there, or over other tasks for itself; neither does one behind it.
with recursive able (id) as (
  select id from tasks where status = 'In Progress' or status = 'Queued' and gate <> 'blocked'
  union
  select child.id from able join tasks child on child.dependant_on = able.id where child.status = 'Queued'
)
update tasks set status = 'Failed', error_message = format('depends on task %s, which can never complete', dependant_on)
where status = 'Queued' and gate = 'blocked' and id not in (select id from able);
