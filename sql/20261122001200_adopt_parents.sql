-- A running orchestrator task of an older orchestrator waits for its sub-tasks from now on, like one that was claimed
-- here. Such a task has no attempt, because every claim here creates one.
update tasks child set parent_id = parent.id
from tasks parent
where parent.status = 'In Progress' and parent.delegated_at is null and parent.task_type like '%orchestrator%'
  and not exists (select from task_attempts where task_id = parent.id)
  and lower(child.params ->> 'orchestrator_task_id_ref') = parent.id::text
  and child.project_id = parent.project_id and child.id <> parent.id and child.parent_id is null;

update tasks parent set delegated_at = now(), worker_id = null
where status = 'In Progress' and delegated_at is null and task_type like '%orchestrator%'
  and not exists (select from task_attempts where task_id = parent.id)
  and exists (select from tasks where parent_id = parent.id);
