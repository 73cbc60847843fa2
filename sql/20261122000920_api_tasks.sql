-- Functions with which people create, read, list and cancel tasks.

-- List of tasks, newest first.
create index if not exists tasks_recent on tasks (project_id, created_at desc, id desc);

create or replace function api_uuid(p_body jsonb, p_field text) returns uuid
language plpgsql immutable security definer set search_path = public, pg_temp as $$
begin
  if p_body -> p_field is null or jsonb_typeof(p_body -> p_field) = 'null' then
    return null;
  end if;
  if p_body ->> p_field !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    perform api_refuse('PT400', p_field, p_field || ' must be a UUID');
  end if;
  return (p_body ->> p_field)::uuid;
end $$;
select grant_to_service('api_uuid(jsonb, text)');

create or replace function api_task(p_task tasks) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  select jsonb_build_object(
    'id', p_task.id, 'task_type', p_task.task_type, 'status', p_task.status, 'params', exact_numbers(p_task.params),
    'project_id', p_task.project_id, 'dependant_on', p_task.dependant_on, 'priority', p_task.priority,
    'attempts', p_task.attempts, 'progress', p_task.progress, 'progress_message', p_task.progress_message,
    'output_location', p_task.output_location, 'result_data', exact_numbers(p_task.result_data),
    'error_message', p_task.error_message, 'created_at', p_task.created_at,
    'generation_started_at', p_task.generation_started_at, 'generation_processed_at', p_task.generation_processed_at)
$$;
select grant_to_service('api_task(tasks)');

-- The task with this id, if this caller may see it. Otherwise the answer is the same as for a task that does not exist.
create or replace function api_find_task(p_caller jsonb, p_id uuid) returns tasks
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  task tasks;
begin
  select * into task from tasks where id = p_id;
  if task.id is null or not api_may_use(p_caller, task.project_id) then
    raise exception 'there is no task %', coalesce(p_id::text, '(none)') using errcode = 'PT404', detail = 'id';
  end if;
  return task;
end $$;
select grant_to_service('api_find_task(jsonb, uuid)');

-- Inserts one task. If the same id is sent again with the same content, the answer is the existing task, so that a
-- client may repeat a request whose answer it lost.
create or replace function api_create_task(p_task jsonb) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
  unknown text;
  wanted_id uuid;
  project uuid;
  depends_on uuid;
  rank numeric;
  own uuid[];
  parent tasks;
  held tasks;
  task tasks;
begin
  if jsonb_typeof(p_task) is distinct from 'object' then
    perform api_refuse('PT400', 'body', 'body must be a JSON object');
  end if;
  select key into unknown from jsonb_object_keys(p_task) as key
  where key not in ('id', 'task_type', 'params', 'project_id', 'dependant_on', 'priority') limit 1;
  if unknown is not null then
    perform api_refuse('PT400', unknown,
      unknown || ' is not a field of a task: those are id, task_type, params, project_id, dependant_on, priority');
  end if;
  if jsonb_typeof(p_task -> 'task_type') is distinct from 'string' or p_task ->> 'task_type' !~ '^[A-Za-z0-9_.-]{1,100}$' then
    perform api_refuse('PT400', 'task_type', 'task_type must be 1 to 100 letters, digits, dots, hyphens or underscores');
  end if;
  if jsonb_typeof(coalesce(p_task -> 'params', '{}')) <> 'object' then
    perform api_refuse('PT400', 'params', 'params must be a JSON object');
  end if;
  if jsonb_typeof(coalesce(p_task -> 'priority', '0')) <> 'number' then
    perform api_refuse('PT400', 'priority', 'priority must be a whole number');
  end if;
  rank := coalesce((p_task ->> 'priority')::numeric, 0);
  if rank <> trunc(rank) or rank not between -1000000 and 1000000 then
    perform api_refuse('PT400', 'priority', 'priority must be a whole number from -1000000 to 1000000');
  end if;
  if rank > 0 and caller ->> 'kind' <> 'service' then
    perform api_refuse('PT403', 'priority', 'priority above 0 is for the service key: it would overtake other people''s tasks');
  end if;
  wanted_id := coalesce(api_uuid(p_task, 'id'), gen_random_uuid());
  project := api_uuid(p_task, 'project_id');
  depends_on := api_uuid(p_task, 'dependant_on');

  if caller ->> 'kind' = 'worker' then
    select * into held from tasks
    where worker_id = caller ->> 'worker_id' and lease_token is not null and lease_ended_at is null;
    if not found then
      perform api_refuse('PT403', null, 'a worker creates tasks only while it holds one');
    end if;
    project := coalesce(project, held.project_id);
    if lower(p_task -> 'params' ->> 'orchestrator_task_id_ref') not in (held.id::text, coalesce(held.parent_id::text, ''), '')
    then
      perform api_refuse('PT403', 'params.orchestrator_task_id_ref',
        'orchestrator_task_id_ref must name the task that this worker holds, or the task that this one is a part of');
    end if;
  elsif project is null and caller ->> 'kind' = 'service' then
    project := '00000000-0000-0000-0000-000000000000';
  elsif project is null then
    select array_agg(id) into own from projects where user_id = (caller ->> 'user_id')::uuid;
    if coalesce(cardinality(own), 0) <> 1 then
      perform api_refuse('PT400', 'project_id',
        format('project_id is needed: you have %s projects', coalesce(cardinality(own), 0)));
    end if;
    project := own[1];
  end if;
  if not exists (select from projects where id = project) or not api_may_use(caller, project) then
    perform api_refuse('PT403', 'project_id', format('project_id %s is no project that you may use', project));
  end if;
  if depends_on is not null then
    select * into parent from tasks where id = depends_on;
    if parent.id is null or not api_may_use(caller, parent.project_id) then
      perform api_refuse('PT400', 'dependant_on', format('dependant_on names task %s, which is not there', depends_on));
    end if;
  end if;

  if caller ->> 'kind' <> 'service' and not exists (select from tasks where id = wanted_id) then
    perform require_task_room(project);
  end if;
  insert into tasks (id, task_type, params, project_id, dependant_on, priority, pool)
  values (wanted_id, p_task ->> 'task_type', coalesce(p_task -> 'params', '{}'), project, depends_on, rank::integer, held.pool)
  on conflict (id) do nothing
  returning * into task;
  if task.id is null then
    select * into task from tasks where id = wanted_id;
    if task.project_id <> project or task.params <> coalesce(p_task -> 'params', '{}')
      or task.dependant_on is distinct from depends_on
    then
      perform api_refuse('PT409', 'id', format('id %s is taken by another task', wanted_id));
    end if;
  end if;
  return api_task(task);
end $$;
select grant_to_everyone('api_create_task(jsonb)');

create or replace function api_get_task(p_id uuid) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  return api_task(api_find_task(api_known_caller(), p_id));
end $$;
select grant_to_everyone('api_get_task(uuid)');

-- Lists tasks, newest first. p_filter: status, project_id, limit (1 to 200, default 50), cursor (next_cursor of the
-- page before). A page has fewer tasks where they are large: it ends at answer_bytes of the table limits.
create or replace function api_list_tasks(p_filter jsonb default '{}') returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
  filter jsonb := coalesce(p_filter, '{}');
  only_project uuid := api_uuid(filter, 'project_id');
  wanted text := filter ->> 'status';
  size integer := 50;
  after_at timestamptz := 'infinity';
  after_id uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  bytes_left integer := (select answer_bytes from limits);
  task tasks;
  last tasks;
  listed jsonb;
  page jsonb[] := '{}';
  is_cut boolean := false;
  unknown text;
begin
  select key into unknown from jsonb_object_keys(filter) as key
  where key not in ('status', 'project_id', 'limit', 'cursor') limit 1;
  if unknown is not null then
    perform api_refuse('PT400', unknown, unknown || ' is no filter: those are status, project_id, limit, cursor');
  end if;
  if caller ->> 'kind' = 'worker' then
    perform api_refuse('PT403', null, 'a worker does not list tasks');
  end if;
  if wanted is not null and wanted not in ('Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled') then
    perform api_refuse('PT400', 'status', 'status must be Queued, In Progress, Complete, Failed or Cancelled');
  end if;
  if filter ? 'limit' then
    if filter ->> 'limit' !~ '^[0-9]{1,3}$' or (filter ->> 'limit')::integer not between 1 and 200 then
      perform api_refuse('PT400', 'limit', 'limit must be a whole number from 1 to 200');
    end if;
    size := (filter ->> 'limit')::integer;
  end if;
  if filter ? 'cursor' then
    if filter ->> 'cursor' !~ '^[0-9]{1,18}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
      perform api_refuse('PT400', 'cursor', 'cursor must be the next_cursor of the page before');
    end if;
    after_at := timestamptz 'epoch' + split_part(filter ->> 'cursor', '_', 1)::bigint * interval '1 microsecond';
    after_id := split_part(filter ->> 'cursor', '_', 2)::uuid;
  end if;
  for task in
    select t.* from projects p cross join lateral (
      select * from tasks
      where project_id = p.id and (created_at, id) < (after_at, after_id) and (wanted is null or status::text = wanted)
      order by created_at desc, id desc limit size + 1
    ) t
    where (only_project is null or p.id = only_project)
      and (caller ->> 'kind' = 'service' or p.user_id = (caller ->> 'user_id')::uuid)
    order by t.created_at desc, t.id desc limit size + 1
  loop
    listed := api_task(task);
    bytes_left := bytes_left - octet_length(listed::text);
    is_cut := cardinality(page) = size or bytes_left < 0 and cardinality(page) > 0;
    exit when is_cut;
    page := page || listed;
    last := task;
  end loop;
  return jsonb_build_object('tasks', to_jsonb(page), 'next_cursor', case when is_cut then format('%s_%s',
    (extract(epoch from last.created_at) * 1000000)::bigint, last.id) end);
end $$;
select grant_to_everyone('api_list_tasks(jsonb)');

-- Cancels a task and ends its lease. The answer for a cancelled task is that task. A complete or failed task is a
-- conflict.
create or replace function api_cancel_task(p_id uuid) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
  task tasks;
begin
  if caller ->> 'kind' = 'worker' then
    perform api_refuse('PT403', null, 'a worker does not cancel tasks');
  end if;
  task := api_find_task(caller, p_id);
  update tasks set status = 'Cancelled', generation_processed_at = now()
  where id = p_id and status in ('Queued', 'In Progress') returning * into task;
  if task.id is null then
    select * into task from tasks where id = p_id;
    if task.status <> 'Cancelled' then
      perform api_refuse('PT409', null, format('task %s is %s already', p_id, task.status));
    end if;
  end if;
  return api_task(task);
end $$;
select grant_to_everyone('api_cancel_task(uuid)');
