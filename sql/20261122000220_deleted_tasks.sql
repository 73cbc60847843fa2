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
  if old.parent_id is not null then
    perform lock_parents(old.parent_id);
  end if;
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
  if old.parent_id is not null then
    select id, status into user_id, user_status from tasks
    where parent_id = old.parent_id and after_siblings and status in ('Queued', 'In Progress');
    if found and old.status = 'Complete' then
      raise exception 'task % cannot be deleted: task %, which is %, uses its result', old.id, user_id, user_status
        using errcode = 'PT409', hint = 'Delete that task in the same request, or cancel it first.';
    elsif found and user_status = 'Queued' then
      update tasks set status = 'Failed', failed_by = old.id,
        error_message = format('depends on task %s, which was deleted', old.id)
      where id = user_id;
    end if;
  end if;
  if old.status <> 'Complete' and exists (select from tasks where parent_id = old.id and status in ('Queued', 'In Progress')) then
    perform cancel_sub_tasks(old.id, old.project_id, 'was deleted');
  end if;
  if (old.status = 'Queued' and old.gate = 'open' or old.status = 'In Progress' and old.delegated_at is null)
    and project_is_gated(old.project_id)
  then
    perform open_held_tasks(old.project_id);
  end if;
  if old.parent_id is not null then
    perform settle_parent(old.parent_id);
  end if;
  if old.lease_token is not null and old.lease_ended_at is null then
    select * into holder from workers where id = old.worker_id;
    perform journal(holder.pool, 'task.deleted', format('task %s was deleted while its worker held it', old.id), holder.id);
  end if;
  return null;
end $$;
select grant_to_service('tasks_deleted()');
-- The name sorts before RI_ConstraintTrigger, the triggers of foreign keys. So this one still finds the tasks that waited,
-- and the key of an adopted table has nothing left to refuse, to set to null or to delete.
create or replace trigger "A_tasks_deleted" after delete on tasks for each row execute function tasks_deleted();

-- As a foreign key of tasks and attempts would. Before the deletion, because the key of an adopted table may set worker_id
-- to null: an open attempt would then have no worker, and nothing could end it.
create or replace function workers_deleted() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if exists (select from ended_attempts where worker_id = old.id) or exists (select from tasks where worker_id = old.id) then
    raise exception 'worker % cannot be deleted: attempts or tasks name it', one_line(old.id)
      using errcode = '23503', table = 'ended_attempts',
        hint = 'Delete its rows of ended_attempts and the tasks that name it first.';
  end if;
  return old;
end $$;
select grant_to_service('workers_deleted()');
-- The name sorts after workers_keep, whose reason comes first.
create or replace trigger workers_keep_attempts before delete on workers for each row execute function workers_deleted();

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
