-- Admission is decided at each write, so that a claim only takes the first entry of one index.

create or replace function require_task_state(p_status text, p_gate text) returns void
language plpgsql set search_path = public, pg_temp as $$
begin
  if p_status not in ('Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled') then
    raise exception 'status % is none of Queued, In Progress, Complete, Failed and Cancelled', left(p_status, 200)
      using errcode = 'check_violation', table = 'tasks', column = 'status';
  end if;
  if p_gate not in ('open', 'held', 'blocked', 'delayed') then
    raise exception 'gate % is none of open, held, blocked and delayed', left(p_gate, 200)
      using errcode = 'check_violation', table = 'tasks', column = 'gate';
  end if;
end $$;
select grant_to_service('require_task_state(text, text)');

-- Signs what tasks_admit remembers from one row to the next. Each value is used once, so that neither a place of one's
-- own nor an earlier memory can be put there. Nobody but the owner may read or advance it, and its start is random.
create sequence if not exists admission_key cache 1000;
select setval('admission_key', ('x' || left(md5(gen_random_uuid()::text), 15))::bit(60)::bigint);
revoke all on sequence admission_key from public, anon, authenticated, service_role;

-- Rows alike of one statement are decided once: the first row is, and each other one stands right behind the row before
-- it. For a hundred rows this takes a third of the time. What is remembered holds until the statement ends: the
-- transaction has locked out changes of the project's limit and pause, and its own ones advance the key.
create or replace function tasks_admit() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  kind task_types;
  parent_status text;
  parent_ref text := coalesce(new.parent_id::text, new.params ->> 'orchestrator_task_id_ref');
  params_text text := case when pg_column_size(new.params) > 1000 then fit_text('params', new.params) else new.params::text end;
  -- Rows that are not remembered take a value too: the next row then does not stand behind the one before them.
  key bigint := nextval('admission_key');
  alike text;
  -- Signature, place and pool.
  memory text[];
  noted text;
begin
  if new.status is distinct from 'Queued' or new.gate is distinct from 'open' then
    new.status := task_status_named(new.status::text);
    perform require_task_state(new.status::text, new.gate);
  end if;
  -- A thousand characters are within every limit.
  if length(params_text) > 1000 and pg_column_size(new.params) <= 1000 or new.result_data is not null then
    perform require_fit_json('params', new.params), require_fit_json('result_data', new.result_data);
  end if;
  -- The same test as in has_long_number, which is a call per insert.
  if params_text ~ '[0-9]{16}' then
    perform require_exact_numbers('params', new.params);
  end if;
  new.project_id := coalesce(new.project_id, '00000000-0000-0000-0000-000000000000');
  new.parent_id := null;
  new.delegated_at := null;
  new.hand_backs := 0;
  new.delayed_until := null;
  new.failed_by := null;
  new.reopened_at := null;
  new.after_siblings := coalesce(new.after_siblings, false) and parent_ref is not null;

  if new.status = 'Queued' and new.dependant_on is null and parent_ref is null then
    alike := quote_nullable(new.task_type) || ' ' || quote_nullable(new.pool) || ' ' || new.project_id || ' ' || new.priority
      || ' ' || statement_timestamp() || ' ';
    memory := string_to_array(current_setting('gpu_pool.admitted', true), '|');
    if memory[1] = md5((key - 1) || alike || memory[2] || '|' || memory[3]) then
      new.gate := 'open';
      new.vtime := memory[2]::bigint + 1;
      new.pool := memory[3];
      noted := new.vtime || '|' || new.pool;
      noted := set_config('gpu_pool.admitted', md5(key || alike || noted) || '|' || noted, true);
      return new;
    end if;
  end if;

  select * into kind from task_types where name = new.task_type;
  if kind.alias_of is not null then
    select * into kind from task_types where name = kind.alias_of;
    new.task_type := kind.name;
    alike := null;
  end if;
  new.pool := coalesce(new.pool, kind.pool, 'main');
  if parent_ref ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    -- The parent must be of the same project, because a sub-task that fails also fails its parent.
    select id, status into new.parent_id, parent_status from tasks
    where id = parent_ref::uuid and project_id = new.project_id for share;
    if new.status = 'Queued' and parent_status in ('Failed', 'Cancelled') then
      new.status := 'Cancelled';
      new.failed_by := new.parent_id;
      new.error_message := format('its orchestrator task %s is %s', new.parent_id, parent_status);
    end if;
  end if;
  new.after_siblings := new.after_siblings and new.parent_id is not null;
  if new.status <> 'Queued' then
    return new;
  end if;

  new.vtime := next_place(new.pool, new.priority, new.project_id);

  if new.dependant_on is not null then
    -- A new task can only close a circle if an earlier row of the same statement, a sibling or its parent waits for it. Behind
    -- another sibling it closes none, because that one was checked.
    if new.dependant_on = new.id or exists (select from tasks where dependant_on = new.id)
      or new.parent_id is not null
        and not exists (select from tasks where id = new.dependant_on and parent_id = new.parent_id and not after_siblings)
        and (exists (select from tasks where id = new.parent_id and delegated_at is not null)
          or exists (select from tasks where parent_id = new.parent_id and after_siblings))
    then
      perform refuse_circle(new);
    end if;
    select status into parent_status from tasks where id = new.dependant_on for share;
    if parent_status in ('Failed', 'Cancelled') then
      new.status := 'Failed';
      new.failed_by := new.dependant_on;
      new.error_message := format('depends on task %s, which is %s', new.dependant_on, parent_status);
      return new;
    end if;
    if parent_status is distinct from 'Complete' then
      new.gate := 'blocked';
      return new;
    end if;
  end if;

  if new.after_siblings then
    if exists (select from tasks where dependant_on = new.id) then
      perform refuse_circle(new);
    end if;
    new.gate := 'blocked';
    return new;
  end if;
  new.gate := 'open';
  if project_is_gated(new.project_id) then
    new.gate := 'held';
  elsif alike is not null then
    noted := new.vtime || '|' || new.pool;
    noted := set_config('gpu_pool.admitted', md5(key || alike || noted) || '|' || noted, true);
  end if;
  return new;
end $$;
select grant_to_service('tasks_admit()');
create or replace trigger tasks_admit before insert on tasks for each row execute function tasks_admit();

-- Refuses trees that are too large, and opens the rows that a limit has room for. Their projects are locked after all rows, as
-- a completion locks its project after its task; and in one order, so that two statements with rows of the same projects do not
-- wait for each other.
create or replace function tasks_admitted() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  gated_project uuid;
  one record;
begin
  for one in
    select id, dependant_on from added
    where (dependant_on is not null or parent_id is not null) and status = 'Queued'
  loop
    perform require_small_tree(one.id, case when one.dependant_on is not null then 'dependant_on' else 'parent_id' end);
  end loop;
  for gated_project in
    select distinct project_id from added where status = 'Queued' and gate = 'held' order by project_id
  loop
    perform open_held_tasks(gated_project);
  end loop;
  return null;
end $$;
select grant_to_service('tasks_admitted()');
create or replace trigger tasks_admitted after insert on tasks referencing new table as added for each statement
execute function tasks_admitted();

-- A later row of the same statement is not admitted as the types were before.
create or replace function task_types_changed() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform nextval('admission_key');
  return null;
end $$;
select grant_to_service('task_types_changed()');
create or replace trigger task_types_changed after insert or update or delete on task_types for each statement
execute function task_types_changed();
