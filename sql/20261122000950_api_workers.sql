-- Functions that workers of any kind call through the edge functions. Workers of the old protocol know no leases.

-- The id of a user's own machine, from the one that the machine gives itself.
create or replace function personal_worker_id(p_user_id uuid, p_worker_id text) returns text
language sql immutable set search_path = public, pg_temp as $$ select 'personal-' || p_user_id || '-' || p_worker_id $$;
select grant_to_service('personal_worker_id(uuid, text)');

-- Segments of one run.
create index if not exists tasks_run on tasks ((params ->> 'orchestrator_run_id'))
  where params ->> 'orchestrator_run_id' is not null;

-- Counts the open and the running tasks that this caller may use: of the pool 'api', of all other pools, or of all. Of a worker
-- that states what it can do, the open ones are those that it may claim. Stops at 10,000. eligible_queued also counts the tasks
-- that a claim of this caller gives again: an old worker claims only if the counts show a task, so one that lost its task in a
-- crash would never ask for it.
create or replace function task_counts(p_run_type text default null, p_worker_id text default null) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
  scope text := case caller ->> 'kind' when 'service' then 'true'
    when 'worker' then 't.pool = (select pool from workers where id = $1)'
    else 't.project_id in (select id from projects where user_id = $1::uuid)' end;
  caller_id text := coalesce(caller ->> 'worker_id', caller ->> 'user_id');
  asker workers;
  queued bigint;
  running bigint;
  held bigint;
begin
  if p_run_type not in ('gpu', 'api') then
    perform api_refuse('PT400', 'run_type', 'run_type must be gpu or api');
  end if;
  scope := scope || case p_run_type when 'api' then ' and t.pool = ''api''' when 'gpu' then ' and t.pool <> ''api''' else '' end;
  select * into asker from workers where id = case caller ->> 'kind' when 'worker' then caller_id
    when 'service' then p_worker_id else personal_worker_id(caller_id::uuid, p_worker_id) end;
  if caller ->> 'kind' = 'worker' and asker.task_types is not null
    and (p_run_type is null or (p_run_type = 'api') = (asker.pool = 'api'))
  then
    queued := count_line(asker.pool, asker.task_types);
  else
    execute 'select count(*) from (select from tasks t where t.status = ''Queued'' and t.gate = ''open'' and '
      || scope || case when asker.task_types is not null then ' and t.task_type = any ($2)' else '' end || ' limit 10000) as open'
    into queued using caller_id, asker.task_types;
  end if;
  execute 'select count(*) from (select from tasks t where t.lease_token is not null and t.lease_ended_at is null and '
    || scope || ' limit 10000) as leased' into running using caller_id;
  select count(*) into held from workers w join open_leases a on a.worker_id = w.id
  where case caller ->> 'kind' when 'service' then w.id = p_worker_id
    when 'worker' then w.id = caller_id
    else w.user_id = caller_id::uuid and w.id = coalesce(personal_worker_id(caller_id::uuid, p_worker_id), w.id) end;
  return jsonb_build_object('totals', jsonb_build_object('queued_only', queued, 'eligible_queued', queued + held,
    'active_only', running, 'queued_plus_active', queued + running));
end $$;
select grant_to_everyone('task_counts(text, text)');

-- The rows of tasks that a worker of the old protocol reads: one by its id, the sub-tasks of one, or the task that a
-- worker holds. A worker's token shows the task that it holds, those that this one needs, and their sub-tasks.
create or replace function api_read_tasks(p_id uuid default null, p_parent_id uuid default null, p_worker_id text default null)
returns setof tasks
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
  caller_user uuid := (caller ->> 'user_id')::uuid;
  held tasks;
begin
  if num_nonnulls(p_id, p_parent_id, p_worker_id) = 0 then
    perform api_refuse('PT400', 'id', 'id is needed, or worker_id, or orchestrator_task_id_ref in params');
  end if;
  if caller ->> 'kind' = 'worker' then
    select * into held from tasks
    where worker_id = caller ->> 'worker_id' and lease_token is not null and lease_ended_at is null;
  end if;
  return query
    select t.* from (
      select * from tasks where id = p_id
      union all
      select * from tasks where parent_id = p_parent_id and p_id is null
      union all
      select * from tasks where p_id is null and p_parent_id is null and id = (
        select task_id from open_leases
        where worker_id = coalesce(personal_worker_id(caller_user, p_worker_id), p_worker_id))
    ) as t
    where case caller ->> 'kind' when 'service' then true
      when 'worker' then t.project_id = held.project_id and (t.id in (held.id, held.parent_id, held.dependant_on)
        or t.parent_id in (held.id, held.parent_id))
      else exists (select from projects p where p.id = t.project_id and p.user_id = caller_user) end;
end $$;
select grant_to_everyone('api_read_tasks(uuid, uuid, text)');

create or replace function api_predecessor_output(p_task_id uuid) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  task tasks := api_find_task(api_known_caller(), p_task_id);
  before tasks;
begin
  select * into before from tasks where id = task.dependant_on;
  return jsonb_build_object('predecessor_id', before.id, 'status', before.status,
    'output_location', case when before.status = 'Complete' then before.output_location end);
end $$;
select grant_to_everyone('api_predecessor_output(uuid)');

-- The output of a task that the caller may see; a worker's token sees the tasks of its own task's graph. Null: no such task.
create or replace function api_task_output(p_task_id uuid) returns jsonb
language sql security definer set search_path = public, pg_temp as $$
  select jsonb_build_object('task_id', id, 'task_type', task_type, 'status', status,
    'output_location', case when status = 'Complete' then output_location end,
    'result_data', case when status = 'Complete' then exact_numbers(result_data) end)
  from api_read_tasks(p_id => p_task_id)
$$;
select grant_to_everyone('api_task_output(uuid)');

-- The segments of a run, in order. p_project_id null: of any project, which only the service key may see.
create or replace function api_completed_segments(p_run_id text, p_project_id uuid) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
begin
  if p_project_id is null and caller ->> 'kind' <> 'service' then
    perform api_refuse('PT400', 'project_id', 'project_id must be a UUID; only the service key may leave it out');
  elsif p_project_id is not null and not api_may_use(caller, p_project_id) then
    perform api_refuse('PT403', 'project_id', format('project_id %s is no project that you may use', p_project_id));
  end if;
  return (
    select coalesce(to_jsonb(array_agg(jsonb_build_object(
      'segment_index', params -> 'segment_index', 'output_location', output_location)
      order by params -> 'segment_index')), '[]')
    from tasks
    where params ->> 'orchestrator_run_id' = p_run_id and (p_project_id is null or project_id = p_project_id)
      and task_type = 'travel_segment' and status = 'Complete');
end $$;
select grant_to_everyone('api_completed_segments(text, uuid)');

-- Whether an open task is in a project of this user. Without `order by … limit 1` Postgres may read tasks of all others.
create or replace function user_has_open_task(p_user_id uuid) returns boolean
language sql stable security definer set search_path = public, pg_temp as $$
  select exists (
    select from projects p cross join lateral (
      select id from tasks where status = 'Queued' and gate = 'open' and project_id = p.id
      order by priority desc, vtime, id limit 1) as head
    where p.user_id = p_user_id)
$$;
select grant_to_service('user_has_open_task(uuid)');

-- Claims a task for a worker of a pool, or for a user's own machine, which gets tasks of its user's projects only. p_task_types:
-- as of worker_can_do; null: the caller does not say.
create or replace function api_claim_task(p_worker_id text, p_task_types text[] default null) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
  caller_user uuid := (caller ->> 'user_id')::uuid;
  machine_id text := personal_worker_id(caller_user, p_worker_id);
  machine workers;
  own uuid;
  head uuid;
  claimed jsonb;
begin
  perform require_worker_id('worker_id', p_worker_id);
  perform require_task_types('task_types', p_task_types);
  if caller_user is null then
    if p_task_types is not null then
      perform worker_can_do(p_worker_id, p_task_types);
    end if;
    claimed := claim_task(p_worker_id);
    perform expect_no_progress((claimed -> 'task' ->> 'task_id')::uuid, (claimed -> 'task' ->> 'attempt')::integer);
    return exact_numbers(claimed);
  end if;
  if not user_has_open_task(caller_user) then
    perform open_delayed_tasks(null);
  end if;
  -- The row is created with the first task, so that invented names leave no rows. The pool exists only as a name:
  -- nothing starts, observes or ends machines there.
  if user_has_open_task(caller_user) then
    insert into pools (name, mode) values ('personal', 'closing') on conflict do nothing;
    insert into workers (id, pool, origin, status, user_id, instance_type, boot_stage, ready_at, last_heartbeat)
    values (machine_id, 'personal', 'external', 'active', caller_user, 'personal', 'ready', now(), now())
    on conflict do nothing;
  end if;
  perform take_turn(machine_id);
  perform from workers where id = machine_id for no key update;
  update workers set last_heartbeat = now(), task_types = coalesce(stored_task_types(p_task_types), task_types),
    task_types_at = case when p_task_types is null then task_types_at else now() end
  where id = machine_id returning * into machine;
  claimed := open_claim(machine.id);
  if claimed is not null and machine.status = 'active' then
    claimed := resume_claim(claimed, machine.task_types);
  end if;
  if claimed is null and machine.status = 'active' then
    for own in select id from projects where user_id = caller_user order by id loop
      select id into head from tasks
      where status = 'Queued' and gate = 'open' and project_id = own
        and (machine.task_types is null or task_type = any (machine.task_types))
      order by priority desc, vtime, id limit 1 for no key update skip locked;
      claimed := case when head is not null then lease_next(machine.id, head) -> 'task' end;
      exit when claimed is not null;
    end loop;
    perform expect_no_progress((claimed ->> 'task_id')::uuid, (claimed ->> 'attempt')::integer);
  end if;
  return jsonb_build_object('worker_status', coalesce(machine.status, 'active'), 'task', exact_numbers(claimed));
end $$;
select grant_to_everyone('api_claim_task(text, text[])');

-- The answer of kept_request, for a user's own machine. p_keeps: the request is kept first, or forgotten, as by keep_request.
create or replace function api_service_request(
  p_task_id uuid, p_lease_token uuid, p_service text, p_keeps boolean default false, p_request_id text default null,
  p_mark text default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform api_known_caller();
  if p_keeps then
    perform keep_request(p_task_id, p_lease_token, p_service, p_request_id, p_mark);
  end if;
  return kept_request(p_task_id, p_lease_token, p_service);
end $$;
select grant_to_everyone('api_service_request(uuid, uuid, text, boolean, text, text)');

-- The attempt at this task that the caller may write about. It is the caller's own one. For the service key, which old
-- workers share, it is the last one. It may have ended.
create or replace function api_lease(p_task_id uuid, p_lease_token uuid default null) returns task_attempts
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
  lease task_attempts;
begin
  select a.* into lease from task_attempts a join workers w on w.id = a.worker_id
  where a.task_id = p_task_id and (p_lease_token is null or a.lease_token = p_lease_token)
    and case caller ->> 'kind' when 'service' then true
      when 'worker' then w.id = caller ->> 'worker_id'
      else w.user_id = (caller ->> 'user_id')::uuid end
  order by a.attempt desc limit 1;
  if not found then
    if caller ->> 'kind' <> 'worker' then
      perform api_find_task(caller, p_task_id);
    end if;
    perform api_refuse(case caller ->> 'kind' when 'service' then 'PT409' else 'PT403' end, 'task_id',
      format('task %s was not claimed by this caller', p_task_id));
  end if;
  return lease;
end $$;
select grant_to_service('api_lease(uuid, uuid)');

create or replace function api_authorize_upload(p_task_id uuid, p_lease_token uuid default null) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := api_lease(p_task_id, p_lease_token);
begin
  if lease.ended_at is null then
    perform require_file_room(p_task_id::text, lease.attempt::text, 1);
  end if;
  return jsonb_build_object(
    'allowed', lease.ended_at is null, 'attempt', lease.attempt, 'completed', coalesce(lease.cause = 'completed', false),
    'reason', case when lease.ended_at is null then 'lease held' else 'lease ended: ' || lease.cause end);
end $$;
select grant_to_everyone('api_authorize_upload(uuid, uuid)');

-- finish_task for a caller that may not know its lease. Answers the outcome and the task's output_location.
create or replace function api_finish_task(
  p_task_id uuid, p_storage_path text, p_output_location text, p_result jsonb default '{}', p_lease_token uuid default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := api_lease(p_task_id, p_lease_token);
  outcome text;
begin
  outcome := finish_task(p_task_id, lease.lease_token, p_storage_path, p_output_location, p_result) ->> 'outcome';
  if outcome = 'lease_lost' then
    perform api_refuse('PT409', 'task_id', format('task %s cannot complete: its lease ended (%s)', p_task_id,
      (select coalesce(cause, 'unknown') from task_attempts where task_id = p_task_id and attempt = lease.attempt)));
  end if;
  return (select jsonb_build_object('outcome', outcome, 'output_location', output_location, 'result_data', result_data)
    from tasks where id = p_task_id);
end $$;
select grant_to_everyone('api_finish_task(uuid, text, text, jsonb, uuid)');

-- delegate_task for a caller that may not know its lease.
create or replace function api_delegate_task(
  p_task_id uuid, p_sub_tasks jsonb default null, p_result_task_id uuid default null, p_lease_token uuid default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := api_lease(p_task_id, p_lease_token);
  outcome text := delegate_task(p_task_id, lease.lease_token, p_result_task_id, p_sub_tasks) ->> 'outcome';
begin
  if outcome = 'lease_lost' then
    perform api_refuse('PT409', 'task_id', format('task %s cannot be delegated: its lease ended (%s)', p_task_id,
      (select coalesce(cause, 'unknown') from task_attempts where task_id = p_task_id and attempt = lease.attempt)));
  end if;
  return jsonb_build_object('task_id', p_task_id, 'outcome', outcome);
end $$;
select grant_to_everyone('api_delegate_task(uuid, jsonb, uuid, uuid)');

-- Applies a status that a worker of the old protocol sends. 'In Progress' is progress, and delegates an orchestrator
-- task that has sub-tasks; 'Failed' is a task error; 'Queued' gives the task back. p_note: error or message.
create or replace function api_update_task(
  p_task_id uuid, p_status text, p_note text default null, p_reset_started boolean default false,
  p_lease_token uuid default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  wanted text := task_status_named(p_status);
  lease task_attempts;
  outcome text;
  reached text;
begin
  perform api_known_caller();
  if wanted is null or wanted not in ('In Progress', 'Failed', 'Queued') then
    perform api_refuse('PT400', 'status', 'status must be In Progress, Failed or Queued here');
  end if;
  lease := api_lease(p_task_id, p_lease_token);
  if wanted = 'Failed' then
    outcome := fail_task(p_task_id, lease.lease_token, coalesce(nullif(p_note, ''), 'the worker gave no reason')) ->> 'outcome';
  elsif wanted = 'Queued' then
    outcome := release_task(p_task_id, lease.lease_token, coalesce(p_note, 'given back by its worker')) ->> 'outcome';
  elsif lease.ended_at is not null then
    outcome := case when lease.cause = 'delegated' then 'delegated' else 'lease_lost' end;
  elsif p_reset_started then
    update tasks set generation_started_at = now() where id = p_task_id and status = 'In Progress';
    perform note_in_progress(p_task_id, lease.attempt);
  elsif exists (select from tasks where id = p_task_id and task_type like '%\_orchestrator')
    and exists (select from tasks where parent_id = p_task_id)
  then
    outcome := delegate_task(p_task_id, lease.lease_token) ->> 'outcome';
  else
    perform note_in_progress(p_task_id, lease.attempt, p_note);
  end if;
  if outcome = 'lease_lost' then
    -- Read again: the same report may have ended the lease at this moment.
    select repeated_report(a, wanted) into reached from task_attempts a where task_id = p_task_id and attempt = lease.attempt;
    if reached is not null then
      return jsonb_build_object('task_id', p_task_id, 'status', reached, 'outcome', 'repeated');
    end if;
  end if;
  -- If the task already has the wanted status, the worker may have lost an earlier answer, so this is no conflict.
  if outcome = 'lease_lost' and not exists (select from tasks where id = p_task_id and status::text = wanted) then
    perform api_refuse('PT409', 'task_id', format('task %s cannot become %s: its lease ended (%s)', p_task_id, wanted,
      (select coalesce(cause, 'unknown') from task_attempts where task_id = p_task_id and attempt = lease.attempt)));
  end if;
  return (select jsonb_build_object('task_id', id, 'status', status, 'outcome', outcome) from tasks where id = p_task_id);
end $$;
select grant_to_everyone('api_update_task(uuid, text, text, boolean, uuid)');
