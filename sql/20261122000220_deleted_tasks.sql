-- Deleting a row does what ending it does.

-- A deleted task leaves nothing that waits for it. Tasks that waited for it fail, its unfinished sub-tasks are cancelled,
-- its place in its project's limit goes to the next held task, and its orchestrator task ends if no other sub-task is
-- unfinished. The sub-tasks that are left decide how: a deleted one counts no more. A task whose result a later task still
-- uses cannot be deleted.
create or replace function tasks_deleted() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  user_id uuid;
  user_status text;
  holder workers;
begin
  if exists (select from tasks where dependant_on = old.id) then
    perform settle_dependants(old.id, 'was deleted');
    select id, status into user_id, user_status from tasks
    where dependant_on = old.id and status in ('Queued', 'In Progress') limit 1;
    if found then
      raise exception 'task % cannot be deleted: task %, which is %, uses its result', old.id, user_id, user_status
        using errcode = 'PT409', hint = 'Delete that task in the same request, or cancel it first.';
    end if;
    update tasks set dependant_on = null where dependant_on = old.id;
  end if;
  if old.status <> 'Complete' and exists (select from tasks where parent_id = old.id and status in ('Queued', 'In Progress')) then
    perform cancel_sub_tasks(old.id, old.project_id, 'was deleted');
  end if;
  if old.parent_id is not null then
    perform settle_parent(old.parent_id);
  end if;
  if (old.status = 'Queued' and old.gate = 'open' or old.status = 'In Progress' and old.delegated_at is null)
    and project_is_gated(old.project_id)
  then
    perform open_held_tasks(old.project_id);
  end if;
  select w.* into holder from task_attempts a join workers w on w.id = a.worker_id
  where a.task_id = old.id and a.ended_at is null;
  if found then
    perform journal(holder.pool, 'task.deleted', format('task %s was deleted while its worker held it', old.id), holder.id);
  end if;
  return null;
end $$;
select grant_to_service('tasks_deleted()');
-- The name sorts before RI_ConstraintTrigger, the triggers of foreign keys. So this one still finds the tasks that waited,
-- and the key of an adopted table has nothing left to refuse, to set to null or to delete.
create or replace trigger "A_tasks_deleted" after delete on tasks for each row execute function tasks_deleted();

-- The row of an open attempt is the lease of its task.
create or replace function task_attempts_deleted() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  bare uuid;
begin
  if tg_op = 'DELETE' then
    if old.ended_at is null then
      select id into bare from tasks where id = old.task_id;
    end if;
  else
    select id into bare from tasks where status = 'In Progress' and delegated_at is null limit 1;
  end if;
  if bare is not null then
    raise exception 'the open attempt of task % cannot be deleted: a worker holds the task by it', bare
      using errcode = 'PT409', hint = 'Set the task to Queued or Cancelled, or delete the task.';
  end if;
  return null;
end $$;
select grant_to_service('task_attempts_deleted()');
create or replace trigger task_attempts_deleted after delete on task_attempts for each row
execute function task_attempts_deleted();
create or replace trigger task_attempts_truncated after truncate on task_attempts for each statement
execute function task_attempts_deleted();

create or replace function projects_deleted() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if old.id = '00000000-0000-0000-0000-000000000000' then
    raise exception 'project % cannot be deleted: tasks that name no project belong to it', old.id
      using errcode = 'PT409', hint = 'Pause it to hold its tasks.';
  end if;
  return old;
end $$;
select grant_to_service('projects_deleted()');
create or replace trigger projects_deleted before delete on projects for each row execute function projects_deleted();
