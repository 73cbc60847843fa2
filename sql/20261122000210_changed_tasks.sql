-- A change of a queued task's dependant_on, project or params is judged like an insert with the new values.

-- Changes of dependant_on take turns. Otherwise two of them could each miss the other's half of a circle. The lock comes
-- before any row is locked. A deletion only sets dependant_on to null, from within a trigger, and needs no turn.
create or replace function tasks_take_turns() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if pg_trigger_depth() = 1 then
    perform pg_advisory_xact_lock(hashtextextended('tasks.dependant_on', 0));
  end if;
  return null;
end $$;
select grant_to_service('tasks_take_turns()');
create or replace trigger tasks_take_turns before update of dependant_on on tasks for each statement
execute function tasks_take_turns();

-- Decides the gate again. The place in line stays. The name of the trigger sorts after tasks_guard, which decides the
-- status.
create or replace function tasks_readmit() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  awaited text;
begin
  if new.params is distinct from old.params then
    perform require_exact_numbers('params', new.params);
  end if;
  if new.dependant_on is distinct from old.dependant_on then
    if old.status <> 'Queued' or new.status <> 'Queued' then
      -- A deleted task also leaves the rows of ended tasks that had waited for it.
      if new.dependant_on is null and not exists (select from tasks where id = old.dependant_on) then
        return new;
      end if;
      raise exception 'dependant_on: task % is %, and only a queued task can wait for another one', old.id,
        case old.status::text when 'Queued' then new.status else old.status end
        using errcode = 'PT409', detail = 'dependant_on';
    end if;
    if new.dependant_on <> new.id then
      select status into awaited from tasks where id = new.dependant_on for share;
      if not found then
        raise exception 'dependant_on: task % does not exist', new.dependant_on using errcode = 'PT400', detail = 'dependant_on';
      elsif awaited in ('Failed', 'Cancelled') then
        raise exception 'dependant_on: task % is %, so task % could never run', new.dependant_on, awaited, new.id
          using errcode = 'PT409', detail = 'dependant_on';
      end if;
    end if;
    if awaited <> 'Complete' or new.dependant_on = new.id then
      new.gate := 'blocked';
      new.delayed_until := null;
    elsif old.gate = 'blocked' and not new.after_siblings then
      new.gate := 'open';
    end if;
  end if;
  if new.status = 'Queued' and new.gate in ('open', 'held')
    and (new.gate is distinct from old.gate or new.project_id is distinct from old.project_id)
  then
    -- Held until tasks_readmitted opens what has room.
    new.gate := case when project_is_gated(new.project_id) then 'held' else 'open' end;
  end if;
  return new;
end $$;
select grant_to_service('tasks_readmit()');
create or replace trigger tasks_readmit before update of dependant_on, project_id, params on tasks for each row
execute function tasks_readmit();

-- A claim looks for types by the names under which tasks are stored.
create or replace function tasks_retype() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  new.task_type := coalesce((select alias_of from task_types where name = new.task_type), new.task_type);
  return new;
end $$;
select grant_to_service('tasks_retype()');
create or replace trigger tasks_retype before update of task_type on tasks for each row
when (new.task_type is distinct from old.task_type)
execute function tasks_retype();

-- Queued tasks whose type has become an alias.
create or replace function task_types_renamed() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update tasks t set task_type = a.alias_of from added a
  where a.alias_of is not null and t.task_type = a.name and t.status = 'Queued';
  return null;
end $$;
select grant_to_service('task_types_renamed()');
create or replace trigger task_types_added after insert on task_types referencing new table as added for each statement
execute function task_types_renamed();
create or replace trigger task_types_renamed after update on task_types referencing new table as added for each statement
execute function task_types_renamed();

-- The places in the limits of the old and the new project, and circles.
create or replace function tasks_readmitted() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  project uuid;
begin
  if new.dependant_on is distinct from old.dependant_on and new.dependant_on is not null then
    perform refuse_circle(new), require_small_tree(new.id, 'dependant_on');
  end if;
  if new.status in ('Queued', 'In Progress')
    and (new.gate is distinct from old.gate or new.project_id is distinct from old.project_id)
  then
    for project in select distinct id from unnest(array[old.project_id, new.project_id]) as p (id) order by id loop
      if project_is_gated(project) then
        perform open_held_tasks(project);
      end if;
    end loop;
  end if;
  return null;
end $$;
select grant_to_service('tasks_readmitted()');
create or replace trigger tasks_readmitted after update of dependant_on, project_id on tasks for each row
execute function tasks_readmitted();
