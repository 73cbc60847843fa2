-- Workers of the old protocol also write to the tables directly, with the service key. These triggers make such writes
-- follow the rules of leases, of ended tasks and of a worker's status. Our own functions run as the owner and are not
-- affected.

-- Whether a report says that the worker is broken, and with which words; null: it does not. p_said: what the worker wrote
-- beside its status.
create or replace function report_of_break(p_status text, p_said jsonb) returns text
language sql immutable set search_path = public, pg_temp as $$
  select case when lower(p_status) in ('error', 'failed', 'crashed', 'self_terminated')
      or lower(p_said ->> 'self_terminated') in ('true', 'yes', '1')
    then left(concat_ws(': ', 'it reported itself ' || case when lower(p_status) in ('error', 'failed', 'crashed')
      then lower(p_status) else 'self_terminated' end,
      coalesce(nullif(p_said ->> 'error_reason', ''), nullif(p_said ->> 'error_message', ''), nullif(p_said ->> 'error', ''),
        nullif(p_said ->> 'reason', ''), nullif(p_said ->> 'message', ''))), 1000) end
$$;
select grant_to_service('report_of_break(text, jsonb)');

-- If a status that a program reports about a worker is new, stores it as evidence and journals it. A report that the
-- worker is broken stays: claims refuse the worker, and the watch ends it. A user's own machine is judged by its user.
create or replace function note_reported_status(p_worker_id text, p_status text, p_said jsonb default null) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  broken text := report_of_break(p_status, p_said);
begin
  select * into worker from workers where id = p_worker_id for no key update;
  if broken is not null and worker.broken_at is null and worker.user_id is null then
    update workers set broken_at = now(), broken_reason = broken where id = p_worker_id;
  end if;
  if worker.metadata ->> 'reported_status' is distinct from p_status then
    update workers set metadata = metadata || jsonb_build_object('reported_status', p_status, 'reported_at', now())
    where id = p_worker_id;
    perform journal(worker.pool, 'worker.status_reported',
      format('reported %s, stays %s: only its lifecycle changes a status', one_line(p_status), worker.status), p_worker_id);
  end if;
end $$;
select grant_to_service('note_reported_status(text, text, jsonb)');

create or replace function workers_direct() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  beat boolean;
  broken text := report_of_break(new.status, new.metadata);
begin
  -- No observation of the pool could be read that has such a time.
  if not isfinite(least(new.created_at, new.ready_at, new.boot_stage_at, new.vram_at, new.last_signal_at))
    or not isfinite(greatest(new.created_at, new.ready_at, new.boot_stage_at, new.vram_at, new.last_signal_at))
  then
    raise exception 'worker %: a time of it is infinite', one_line(new.id) using errcode = 'PT400';
  end if;
  if tg_op = 'INSERT' then
    perform require_worker_id('id', new.id);
    perform require_task_types('task_types', new.task_types);
    new.task_types := stored_task_types(new.task_types);
    new.broken_at := case when broken is not null then now() end;
    new.broken_reason := broken;
    new.pool := coalesce(new.pool, default_pool());
    new.origin := 'external';
    new.last_heartbeat := case when new.last_heartbeat is not null and new.status is distinct from 'crashed' then now() end;
    new.status := 'spawning';
    if new.last_heartbeat is not null then
      new.status := 'active';
      new.ready_at := now();
      new.boot_stage := 'ready';
    end if;
    return new;
  end if;
  if new.id <> old.id or new.pool <> old.pool and old.origin = 'pool' then
    raise exception '%: worker % keeps the one that it has', case when new.id <> old.id then 'id' else 'pool' end,
      one_line(old.id)
      using errcode = 'PT409', detail = case when new.id <> old.id then 'id' else 'pool' end,
        hint = 'Its workflow and its pod are known by it.';
  end if;
  if new.task_types is distinct from old.task_types then
    perform require_task_types('task_types', new.task_types);
    new.task_types := stored_task_types(new.task_types);
  end if;
  -- Metadata that is not part of this write says nothing new.
  if new.metadata is not distinct from old.metadata then
    broken := report_of_break(case when new.status is distinct from old.status then new.status end, null);
  end if;
  new.broken_at := coalesce(old.broken_at, case when broken is not null and old.user_id is null then now() end);
  new.broken_reason := case when old.broken_at is null and new.broken_at is not null then broken else old.broken_reason end;
  -- Merged, because a writer may not have read the old keys.
  new.metadata := old.metadata || coalesce(new.metadata, '{}');
  new.origin := old.origin;
  -- The worker itself never reports that it crashed, so this write is no sign of its life.
  beat := new.last_heartbeat is distinct from old.last_heartbeat and new.status is distinct from 'crashed'
    and old.status in ('spawning', 'active', 'terminating') and old.gone_at is null;
  new.last_heartbeat := case when beat then now() else old.last_heartbeat end;
  if new.status is distinct from old.status and not (new.status = 'active' and beat)
    and old.metadata ->> 'reported_status' is distinct from new.status
  then
    new.metadata := new.metadata || jsonb_build_object('reported_status', new.status, 'reported_at', now());
    perform journal(old.pool, 'worker.status_reported', format('reported %s, stays %s: only its lifecycle changes a status',
      one_line(new.status), old.status), old.id, null, new.metadata);
  end if;
  new.status := old.status;
  if beat and old.status = 'spawning' then
    new.status := 'active';
    new.ready_at := now();
    new.pod_created_at := coalesce(new.pod_created_at, new.posted_at);
    new.boot_stage := 'ready';
    new.boot_stage_at := now();
    perform journal(old.pool, 'worker.ready', format('first heartbeat %s s after it was reserved, written directly',
      round(extract(epoch from now() - old.created_at))), old.id);
  end if;
  return new;
end $$;
select grant_to_service('workers_direct()');
create or replace trigger workers_direct before insert or update on workers for each row
when (current_user = 'service_role')
execute function workers_direct();

-- A status that is changed without a lock, by hand, waits for a claim that is under way, and a claim waits for it, as drains and
-- claims do.
create or replace function workers_status() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform from workers where id = old.id for update;
  return new;
end $$;
select grant_to_service('workers_status()');
create or replace trigger workers_status before update of status on workers for each row
when (new.status is distinct from old.status)
execute function workers_status();

-- Claims of one worker, and what ends its leases or takes back what it failed, come one after the other. They wait here before
-- they lock a row, because a claim locks its worker's row after the task's.
create or replace function take_turn(p_worker_id text) returns void
language sql security definer set search_path = public, pg_temp as $$
  select pg_advisory_xact_lock(hashtextextended(p_worker_id, 1))
$$;
select grant_to_service('take_turn(text)');

-- A direct claim creates a lease under the same conditions as any other claim.
create or replace function lease_directly(p_task tasks, p_worker_id text) returns tasks
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  problem text;
begin
  perform take_turn(p_worker_id);
  select * into worker from workers where id = p_worker_id for no key update;
  problem := case
    when p_worker_id is null then 'worker_id is missing'
    when worker.id is null then format('worker %s is not registered', one_line(p_worker_id))
    when worker.status <> 'active' then format('worker %s is %s', worker.id, worker.status)
    when worker.origin = 'job' then format('worker %s has a job of its own', worker.id)
    when worker.broken_at is not null then format('worker %s is broken: %s', worker.id, one_line(worker.broken_reason))
    when p_task.gate <> 'open' then format('it is %s: %s', p_task.gate,
      case p_task.gate when 'blocked' then 'it waits for another task'
        when 'delayed' then 'its workers handed it back without progress' else 'its project is paused or at its limit' end)
    when exists (select from open_leases where worker_id = worker.id) then format('worker %s holds another task', worker.id) end;
  if problem is not null then
    raise exception 'task % cannot be claimed: %', p_task.id, problem
      using errcode = 'PT409', hint = 'func_claim_available_task gives a worker its next task.';
  end if;
  p_task.attempts := p_task.attempts + 1;
  p_task.leases := p_task.leases + 1;
  p_task.lease_token := gen_random_uuid();
  p_task.leased_at := now();
  p_task.claimable_at := null;
  p_task.progress := null;
  p_task.progress_message := null;
  p_task.progress_at := null;
  p_task.reports_progress := false;
  p_task.generation_started_at := now();
  p_task.error_message := null;
  p_task.error_details := null;
  return p_task;
end $$;
select grant_to_service('lease_directly(tasks, text)');

-- A worker of the old protocol says that its task is In Progress. It says so at most a few times in an attempt, so its
-- lease keeps the limit of a worker that reports no progress.
create or replace function note_in_progress(p_task_id uuid, p_attempt integer, p_message text default null) returns void
language sql security definer set search_path = public, pg_temp as $$
  update tasks set progress_at = now(), progress_message = coalesce(left(p_message, 500), progress_message)
  where id = p_task_id and leases = p_attempt and lease_token is not null and lease_ended_at is null
$$;
select grant_to_service('note_in_progress(uuid, integer, text)');

-- A claim by a function of the old protocol: no progress is expected of this lease, unless one was reported already.
create or replace function expect_no_progress(p_task_id uuid, p_attempt integer) returns void
language sql security definer set search_path = public, pg_temp as $$
  update tasks set reports_progress = false
  where id = p_task_id and leases = p_attempt and lease_token is not null and progress_at is null and reports_progress
$$;
select grant_to_service('expect_no_progress(uuid, integer)');

-- The first task with the attempt of the second one; null: with none.
create or replace function with_attempt_of(p_task tasks, p_other tasks) returns tasks
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  p_task.leases := coalesce(p_other.leases, 0);
  p_task.lease_token := p_other.lease_token;
  p_task.leased_at := p_other.leased_at;
  p_task.lease_ended_at := p_other.lease_ended_at;
  p_task.claimable_at := p_other.claimable_at;
  p_task.progress := p_other.progress;
  p_task.progress_message := p_other.progress_message;
  p_task.progress_at := p_other.progress_at;
  p_task.reports_progress := coalesce(p_other.reports_progress, true);
  return p_task;
end $$;
select grant_to_service('with_attempt_of(tasks, tasks)');

-- A new task has no lease, so nothing would ever release it if it began In Progress. An existing row here is an upsert;
-- its update trigger decides. Only a claim writes the columns of a lease.
create or replace function tasks_added_directly() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  new.status := task_status_named(new.status::text);
  new := with_attempt_of(new, null);
  if new.status = 'In Progress' and not exists (select from tasks where id = new.id) then
    new.status := 'Queued';
    new.worker_id := null;
    new.generation_started_at := null;
  end if;
  perform from workers where id = new.worker_id for key share;
  if new.worker_id is not null and not found then
    raise exception 'worker_id: worker % is not registered', one_line(new.worker_id)
      using errcode = '23503', table = 'tasks', column = 'worker_id';
  end if;
  return new;
end $$;
select grant_to_service('tasks_added_directly()');
-- The trigger's name sorts before tasks_admit, so a task that it makes Queued is admitted.
create or replace trigger tasks_added_directly before insert on tasks for each row
when (current_user = 'service_role')
execute function tasks_added_directly();

-- Decides what a direct update changes in a task. The trigger function tasks_guard calls it.
create or replace function update_directly(p_old tasks, p_new tasks) returns tasks
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  held boolean := p_old.lease_token is not null and p_old.lease_ended_at is null;
  output jsonb;
begin
  if p_new.id <> p_old.id then
    raise exception 'id: task % keeps the one that it has', p_old.id
      using errcode = 'PT409', detail = 'id', hint = 'Its lease, its sub-tasks and its files are known by it.';
  end if;
  p_new.status := task_status_named(p_new.status::text);
  -- Only admission and claims change these columns.
  p_new := with_attempt_of(p_new, p_old);
  p_new.gate := p_old.gate;
  p_new.vtime := p_old.vtime;
  p_new.attempts := p_old.attempts;
  p_new.delegated_at := p_old.delegated_at;
  p_new.parent_id := p_old.parent_id;
  p_new.hand_backs := p_old.hand_backs;
  p_new.delayed_until := p_old.delayed_until;
  p_new.after_siblings := p_old.after_siblings;
  p_new.pool := coalesce(p_new.pool, p_old.pool);
  p_new.failed_by := p_old.failed_by;
  p_new.reopened_at := p_old.reopened_at;

  if p_old.status in ('Complete', 'Failed', 'Cancelled') then
    if p_new.status = p_old.status and (p_new.output_location is distinct from p_old.output_location
      or p_new.result_data is distinct from p_old.result_data or p_new.worker_id is distinct from p_old.worker_id)
    then
      raise exception 'task % is % and its result stays as it is', p_old.id, p_old.status using errcode = 'PT409';
    end if;
    return p_new;
  end if;

  if p_old.status = 'Queued' then
    if p_new.status = 'In Progress' then
      p_new := lease_directly(p_new, p_new.worker_id);
    elsif p_new.status in ('Complete', 'Failed') then
      raise exception 'task % is Queued: no worker holds it, and it cannot become %', p_old.id, p_new.status
        using errcode = 'PT409',
          hint = 'An attempt that was given back does not count any more. To end a task, set it to Cancelled.';
    else
      p_new.worker_id := null;
    end if;
    return p_new;
  end if;

  if p_new.status = 'In Progress' then
    if p_new.worker_id is distinct from p_old.worker_id and p_new.worker_id is not null then
      raise exception 'task % is held by worker %, not by %', p_old.id, coalesce(p_old.worker_id, '(none)'),
        one_line(p_new.worker_id)
        using errcode = 'PT409';
    end if;
    p_new.worker_id := p_old.worker_id;
    if held then
      p_new.progress_at := now();
    end if;
    -- The program of an orchestrator task reports In Progress when it has created its sub-tasks.
    if held and p_old.task_type like '%orchestrator%'
      and exists (select from tasks where parent_id = p_old.id)
    then
      p_new.delegated_at := now();
      p_new.worker_id := null;
      p_new.attempts := p_old.attempts - 1;
    end if;
    return p_new;
  end if;

  p_new.worker_id := p_old.worker_id;
  if p_new.status = 'Queued' then
    p_new.worker_id := null;
    p_new.generation_started_at := null;
    -- A claim clears both columns, so an error that stands here is of this attempt, even if it repeats an older one.
    if coalesce(p_new.error_details, p_new.error_message, p_old.error_details, p_old.error_message) is not null then
      -- Given back with an error: one failed attempt. The last one that may fail ends the task.
      p_new.error_message := coalesce(nullif(p_new.error_message, ''), nullif(p_new.error_details, ''),
        nullif(p_old.error_message, ''), nullif(p_old.error_details, ''), 'the worker gave no error');
      if held then
        perform record_attempt(p_old, 'task_error', left(p_new.error_message, 4000));
        p_new.lease_token := null;
        p_new.leased_at := null;
      end if;
      if p_old.attempts >= attempt_limit() then
        p_new.status := 'Failed';
        p_new.worker_id := p_old.worker_id;
      end if;
    elsif held then
      p_new.attempts := p_old.attempts - 1;
      p_new := handed_back(p_new);
    end if;
  elsif p_new.status = 'Complete' then
    -- A text that stood there before is a note of the worker's.
    if p_new.output_location is distinct from p_old.output_location then
      output := trusted_output(p_old.id, p_new.output_location);
      p_new.output_location := output ->> 'location';
      p_new.result_data := with_known_urls(p_new.result_data);
      if output -> 'file' <> 'null' then
        p_new.result_data := coalesce(p_new.result_data, '{}') || file_record(output -> 'file');
      end if;
    end if;
    p_new.generation_created := true;
    p_new.error_message := null;
  elsif p_new.status = 'Failed' and p_new.error_message is null
    and p_new.output_location is distinct from p_old.output_location and p_new.output_location !~ '^https?://'
  then
    p_new.error_message := p_new.output_location;
    p_new.output_location := p_old.output_location;
  end if;
  return p_new;
end $$;
select grant_to_service('update_directly(tasks, tasks)');
