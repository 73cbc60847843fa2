-- The functions that workers of the old protocol call. Their names, parameters and answers are those of that protocol.

-- The functions of an older orchestrator return other types, so they cannot be replaced in place.
do $$
declare
  old regprocedure;
begin
  for old in
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname in (
      'func_claim_available_task', 'func_claim_task', 'func_mark_task_complete', 'func_mark_task_failed',
      'func_update_task_status', 'func_get_tasks_by_status', 'func_reset_orphaned_tasks', 'func_update_worker_heartbeat',
      'func_worker_heartbeat_with_logs')
  loop
    execute format('drop function %s', old);
  end loop;
end $$;

create or replace function registration_hint() returns text
language sql immutable set search_path = public, pg_temp as $$
  select 'A worker registers with its first heartbeat under the service key, or by gpu-pool worker token. Claim again then.'
$$;
select grant_to_service('registration_hint()');

create or replace function require_known_worker(p_argument text, p_worker_id text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  perform require_worker_id(p_argument, p_worker_id);
  perform require_worker(p_worker_id);
  if not exists (select from workers where id = p_worker_id) then
    raise exception '%: worker % is not registered', one_line(p_argument), p_worker_id
      using errcode = 'PT404', hint = registration_hint();
  end if;
end $$;
select grant_to_service('require_known_worker(text, text)');

create or replace function require_tasks_table(p_table_name text) returns void
language plpgsql immutable set search_path = public, pg_temp as $$
begin
  if p_table_name is distinct from 'tasks' then
    perform refuse_argument('p_table_name', format('%s is not the name of the table of tasks', coalesce(p_table_name, 'null')),
      'It is tasks; a pool of its own separates one kind of work from another.');
  end if;
end $$;
select grant_to_service('require_tasks_table(text)');

-- Claims a task for a worker; no row: there is none. A worker that holds a task already gets the same one again.
create or replace function func_claim_available_task(worker_id_param text)
returns table (
  id uuid, params jsonb, task_type text, project_id uuid, attempt integer, lease_token uuid,
  status text, attempts integer, worker_id text, generation_started_at timestamptz, task_data jsonb, created_at timestamptz)
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  answer jsonb;
begin
  perform require_known_worker('worker_id_param', worker_id_param);
  answer := claim_task(worker_id_param);
  if answer ->> 'worker_status' in ('spawning', 'error', 'terminated') then
    raise exception 'worker % gets no task: it is %', one_line(worker_id_param), answer ->> 'worker_status'
      using errcode = 'PT409', hint = case when answer ->> 'worker_status' = 'spawning'
        then 'Its first heartbeat makes it active. Claim again then.' else 'It has ended. Start it under a new id.' end;
  end if;
  perform expect_no_progress((answer -> 'task' ->> 'task_id')::uuid, (answer -> 'task' ->> 'attempt')::integer);
  return query
    select t.task_id, t.params, t.task_type, t.project_id, t.attempt, t.lease_token,
      own.status::text, own.attempts, own.worker_id, own.generation_started_at, t.params, own.created_at
    from jsonb_to_record(nullif(answer -> 'task', 'null'))
      as t (task_id uuid, params jsonb, task_type text, project_id uuid, attempt integer, lease_token uuid)
    join tasks own on own.id = t.task_id;
end $$;
select grant_to_everyone('func_claim_available_task(text)');

create or replace function func_claim_available_task(p_table_name text, p_worker_id text)
returns table (task_id_out uuid, params_out jsonb, task_type_out text, project_id_out uuid)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_tasks_table(p_table_name);
  perform require_known_worker('p_worker_id', p_worker_id);
  return query select c.id, c.params, c.task_type, c.project_id from func_claim_available_task(p_worker_id) as c;
end $$;
select grant_to_everyone('func_claim_available_task(text, text)');

create or replace function func_claim_task(p_table_name text, p_worker_id text)
returns table (task_id_out uuid, params_out jsonb, task_type_out text, project_id_out uuid)
language sql security definer set search_path = public, pg_temp as $$
  select * from func_claim_available_task(p_table_name, p_worker_id)
$$;
select grant_to_service('func_claim_task(text, text)');

-- The lease of a call without a lease token. With the service key it is the open one of the task; null: there is none.
-- With a token it is the last one that this caller had, because a worker repeats a report whose answer was lost.
create or replace function open_lease(p_task_id uuid, p_lease_token uuid) returns uuid
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts;
begin
  if p_task_id is null then
    perform refuse_argument('p_task_id', 'the id of a task is expected, not null');
  end if;
  if p_lease_token is null then
    if not is_service() then
      select a.* into lease from task_attempts a join workers w on w.id = a.worker_id
      where a.task_id = p_task_id and (w.id = request_worker() or w.user_id = request_user())
      order by a.attempt desc limit 1;
    end if;
    if lease.task_id is null then
      select * into lease from task_attempts where task_id = p_task_id and ended_at is null;
    end if;
  else
    select * into lease from task_attempts where task_id = p_task_id and lease_token = p_lease_token;
  end if;
  -- A worker whose task was deleted has a right credential, so it is told about the task.
  if is_service() or request_worker() is null or exists (select from tasks where id = p_task_id) then
    perform require_worker(lease.worker_id);
  end if;
  if not exists (select from tasks where id = p_task_id) then
    raise exception 'p_task_id: task % does not exist', p_task_id using errcode = 'PT404';
  end if;
  return coalesce(lease.lease_token, p_lease_token);
end $$;
select grant_to_service('open_lease(uuid, uuid)');

-- Completes a task. p_result becomes result_data, and its video_url (or output_location, or public_url) becomes
-- output_location. If that is an address of this project's storage, the file must exist; any other may be given with the service
-- key alone, and must be https. Answers {success, outcome,
-- status}: completed, already_completed, lease_lost (the lease has ended) or not_running. The last two arguments are
-- the first two under the names of an older orchestrator: with a second function for them, a call without names would
-- be ambiguous.
create or replace function func_mark_task_complete(
  p_task_id uuid default null, p_result jsonb default null, p_lease_token uuid default null,
  task_id_param uuid default null, result_data_param jsonb default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  token uuid;
  lease task_attempts;
  task tasks;
  location text;
  file jsonb;
  outcome text := 'completed';
begin
  p_task_id := coalesce(p_task_id, task_id_param);
  p_result := coalesce(p_result, result_data_param);
  token := open_lease(p_task_id, p_lease_token);
  if jsonb_typeof(p_result) not in ('object', 'null') then
    perform refuse_argument('p_result', format('an object is expected, not %s', jsonb_typeof(p_result)));
  end if;
  location := coalesce(p_result ->> 'video_url', p_result ->> 'output_location', p_result ->> 'public_url');
  if token is not null then
    lease := lock_lease(p_task_id, token);
  end if;
  select * into task from tasks where id = p_task_id for no key update;
  if task.status = 'Complete' and (token is null or lease.cause = 'completed') then
    outcome := 'already_completed';
  elsif token is not null and (lease.task_id is null or lease.ended_at is not null) then
    outcome := 'lease_lost';
  elsif task.status <> 'In Progress' then
    outcome := 'not_running';
  else
    if is_service() then
      file := trusted_output(p_task_id, location);
      location := file ->> 'location';
      file := nullif(file -> 'file', 'null');
    elsif location is null then
      perform require_file(p_task_id);
    else
      perform require_own_object(p_task_id, coalesce(percent_decoded((storage_place(location))[3]), location));
      file := stored_file(location);
      if file is null then
        raise exception 'task % cannot complete: % is not in storage', p_task_id, one_line(location)
          using errcode = 'PT409', hint = 'Upload the file first.';
      end if;
      location := file ->> 'url';
      perform require_own_attempt(p_task_id, task.leases, file ->> 'name'), require_own_urls(p_task_id, p_result);
    end if;
    p_result := with_known_urls(nullif(p_result, 'null'));
    if file is not null then
      p_result := coalesce(p_result, task.result_data, '{}') || file_record(file);
    end if;
    update tasks
    set status = 'Complete', progress = 1, output_location = coalesce(location, output_location),
      result_data = coalesce(p_result, result_data), error_message = null, generation_created = true
    where id = p_task_id;
    task.status := 'Complete';
  end if;
  return jsonb_build_object('success', outcome in ('completed', 'already_completed'), 'outcome', outcome, 'status', task.status);
end $$;
select grant_to_everyone('func_mark_task_complete(uuid, jsonb, uuid, uuid, jsonb)');

-- Records one failed attempt. The task goes back to the queue, or fails at its third. Answers {success, outcome,
-- status}: requeued, failed, lease_lost or not_running. The last two arguments are the first two under their older
-- names.
create or replace function func_mark_task_failed(
  p_task_id uuid default null, p_error_message text default null, p_lease_token uuid default null,
  task_id_param uuid default null, error_message_param text default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  token uuid;
  message text := coalesce(nullif(left(coalesce(p_error_message, error_message_param), 4000), ''), 'the worker gave no error');
  task tasks;
  outcome text;
  reached text;
begin
  p_task_id := coalesce(p_task_id, task_id_param);
  token := open_lease(p_task_id, p_lease_token);
  if token is not null then
    outcome := fail_task(p_task_id, token, message) ->> 'outcome';
    if outcome = 'lease_lost' then
      select repeated_report(a, 'Failed') into reached from task_attempts a where task_id = p_task_id and lease_token = token;
      if reached is not null then
        return jsonb_build_object('success', true, 'status', reached,
          'outcome', case reached when 'Failed' then 'failed' else 'requeued' end);
      end if;
    end if;
  end if;
  select * into task from tasks where id = p_task_id for no key update;
  if token is null and task.status = 'In Progress' then
    update tasks set status = 'Failed', error_message = message where id = p_task_id;
    task.status := 'Failed';
    outcome := 'failed';
  end if;
  return jsonb_build_object('success', coalesce(outcome in ('requeued', 'failed'), false),
    'outcome', coalesce(outcome, 'not_running'), 'status', task.status);
end $$;
select grant_to_everyone('func_mark_task_failed(uuid, text, uuid, uuid, text)');

-- Records a status that an old worker reports. In Progress is progress; for an orchestrator task with sub-tasks it
-- means that the task waits for them from now on, without a worker. Failed is one failed attempt, with
-- p_output_location as its error. Answers {success, outcome, status}.
create or replace function func_update_task_status(
  p_table_name text, p_task_id uuid, p_status text, p_output_location text default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  wanted text := task_status_named(p_status);
  token uuid;
  task tasks;
  outcome text;
begin
  perform require_tasks_table(p_table_name);
  if wanted is null or wanted not in ('Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled') then
    perform refuse_argument('p_status', format('%s is no status of a task', coalesce(p_status, 'null')),
      'Queued, In Progress, Complete, Failed or Cancelled.');
  end if;
  token := open_lease(p_task_id, null);
  if wanted = 'Complete' then
    return func_mark_task_complete(p_task_id, case when p_output_location is not null
      then jsonb_build_object('output_location', p_output_location) end, token);
  elsif wanted = 'Failed' then
    return func_mark_task_failed(p_task_id, p_output_location, token);
  elsif wanted = 'Queued' and token is not null then
    outcome := release_task(p_task_id, token, coalesce(p_output_location, 'given back')) ->> 'outcome';
  elsif wanted = 'In Progress' and token is not null then
    perform note_in_progress(p_task_id, (select attempt from task_attempts where task_id = p_task_id and lease_token = token),
      p_output_location);
    outcome := 'progress';
    if exists (select from tasks where id = p_task_id and task_type like '%orchestrator%') then
      outcome := replace(delegate_task(p_task_id, token) ->> 'outcome', 'no_children', 'progress');
    end if;
  end if;
  select * into task from tasks where id = p_task_id for no key update;
  if wanted = 'In Progress' and token is null and task.status = 'Queued' then
    raise exception 'task % is not claimed', p_task_id
      using errcode = 'PT409', hint = 'func_claim_available_task gives a worker its next task.';
  elsif outcome is null and task.status::text <> wanted then
    -- tasks_guard refuses this where the task has ended. Literals, because the column may be an enum.
    if wanted = 'Cancelled' then
      update tasks set status = 'Cancelled' where id = p_task_id returning * into task;
    elsif wanted = 'Queued' then
      update tasks set status = 'Queued', worker_id = null where id = p_task_id returning * into task;
    else
      update tasks set status = 'In Progress' where id = p_task_id returning * into task;
    end if;
  end if;
  return jsonb_build_object('success', true, 'outcome', coalesce(outcome, 'set'), 'status', task.status);
end $$;
select grant_to_service('func_update_task_status(text, uuid, text, text)');

-- All tasks with these statuses, under any of their names, oldest first. task_data is params.
create or replace function func_get_tasks_by_status(status_filter text[])
returns table (
  id uuid, task_type text, params jsonb, status text, attempts integer, worker_id text, project_id uuid, dependant_on uuid,
  priority integer, pool text, gate text, vtime bigint, output_location text, result_data jsonb, error_message text,
  generation_started_at timestamptz, generation_processed_at timestamptz, generation_created boolean,
  created_at timestamptz, updated_at timestamptz, parent_id uuid, delegated_at timestamptz, error_details text,
  hand_backs integer, delayed_until timestamptz, failed_by uuid, reopened_at timestamptz, leases integer, lease_token uuid,
  leased_at timestamptz, lease_ended_at timestamptz, claimable_at timestamptz, progress real, progress_message text,
  progress_at timestamptz, reports_progress boolean, after_siblings boolean, task_data jsonb)
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  wanted text[];
begin
  if status_filter is null then
    perform refuse_argument('status_filter', 'a list of statuses is expected, not null');
  end if;
  select array_agg(task_status_named(name)) into wanted from unnest(status_filter) as f (name);
  if not coalesce(wanted <@ array['Queued', 'In Progress', 'Complete', 'Failed', 'Cancelled'], true)
    or array_position(status_filter, null) is not null
  then
    perform refuse_argument('status_filter', format('%s contains a value that is no status of a task', status_filter),
      'Queued, In Progress, Complete, Failed or Cancelled.');
  end if;
  return query
    select t.id, t.task_type, t.params, t.status::text, t.attempts, t.worker_id, t.project_id, t.dependant_on,
      t.priority, t.pool, t.gate, t.vtime, t.output_location, t.result_data, t.error_message,
      t.generation_started_at, t.generation_processed_at, t.generation_created,
      t.created_at, t.updated_at, t.parent_id, t.delegated_at, t.error_details, t.hand_backs, t.delayed_until,
      t.failed_by, t.reopened_at, t.leases, t.lease_token, t.leased_at, t.lease_ended_at, t.claimable_at, t.progress,
      t.progress_message, t.progress_at, t.reports_progress, t.after_siblings, t.params
    from tasks t where t.status::text = any (wanted) order by t.created_at, t.vtime, t.id;
end $$;
select grant_to_service('func_get_tasks_by_status(text[])');
