-- A claim that fails costs the task, never the queue: a task that the database refuses to lease is set aside.

-- Repeats a claim of this task for this worker and undoes it. Answers why the database refuses it; null: it does not. An error
-- that may pass by itself is the caller's.
create or replace function claim_problem(p_worker_id text, p_task_id uuid) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  answer text;
begin
  -- As text, which the caller's answer would be.
  answer := lease_next(p_worker_id, p_task_id)::text;
  raise exception 'undone' using errcode = 'GP000';
exception
  when sqlstate 'GP000' then
    return null;
  when others or assert_failure then
    if not is_refusal(sqlstate) then
      raise;
    end if;
    return format('%s (%s)', sqlerrm, sqlstate);
end $$;
select grant_to_service('claim_problem(text, uuid)');

-- The same for a task that this call makes and undoes: whether claims fail whatever the task is.
create or replace function claims_problem(p_worker_id text, p_pool text, p_task_type text) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  made uuid;
  problem text;
begin
  insert into tasks (task_type, pool) values (p_task_type, p_pool) returning id into made;
  problem := claim_problem(p_worker_id, made);
  raise exception 'undone' using errcode = 'GP000';
exception
  when sqlstate 'GP000' then
    return problem;
  when others or assert_failure then
    if not is_refusal(sqlstate) then
      raise;
    end if;
    return format('%s (%s)', sqlerrm, sqlstate);
end $$;
select grant_to_service('claims_problem(text, text, text)');

-- Looks whether the first task in line of an idle worker can be claimed, which no caller is believed about. A task that was
-- refused twice in a row fails, unless a task made for comparison is refused too; task retry puts it back. Answers {outcome,
-- task_id, problem}: nothing_waits, claimable, set_aside or claims_fail.
create or replace function examine_head(p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  head tasks;
  problem text;
  outcome text := 'claimable';
begin
  perform take_turn(p_worker_id);
  select * into worker from workers where id = p_worker_id and status = 'active' and broken_at is null and origin <> 'job';
  select * into head from tasks
  where status = 'Queued' and gate = 'open' and pool = worker.pool
    and (worker.task_types is null or task_type = any (worker.task_types))
  order by priority desc, vtime, id limit 1 for no key update skip locked;
  if head.id is null or open_claim(p_worker_id) is not null then
    return jsonb_build_object('outcome', 'nothing_waits', 'task_id', null, 'problem', null);
  end if;
  problem := claim_problem(p_worker_id, head.id);
  if problem is not null then
    problem := claim_problem(p_worker_id, head.id);
  end if;
  if problem is null then
    perform close_alert('claims_failing', worker.pool);
  elsif claims_problem(p_worker_id, worker.pool, head.task_type) is not null then
    outcome := 'claims_fail';
    perform open_alert('claims_failing', worker.pool, worker.pool, format('no task can be claimed: %s', left(problem, 500)));
  else
    outcome := 'set_aside';
    begin
      update tasks set status = 'Failed', error_message = left(format('no worker can claim it: %s', problem), 4000)
      where id = head.id;
      perform open_alert('row_set_aside', head.id::text, worker.pool,
        format('the database refuses its claim, so it was failed: %s', left(problem, 500)));
      insert into pool_events (pool, kind, reason, worker_id, task_id)
      values (worker.pool, 'task.set_aside', format('no worker can claim it: %s', left(problem, 500)), p_worker_id, head.id);
    exception when others or assert_failure then
      perform set_row_aside(head.id::text, worker.pool, 'it can neither be claimed nor failed', sqlstate, sqlerrm);
    end;
  end if;
  return jsonb_build_object('outcome', outcome, 'task_id', head.id, 'problem', problem);
end $$;
select grant_to_service('examine_head(text)');

-- How long the database lets a worker's own call last; null: it has no limit.
create or replace function worker_call_limit() returns interval
language sql stable security definer set search_path = public, pg_temp as $$
  select nullif(case when value ~ '^[0-9]+$' then value || 'ms' else value end::interval, '0')
  from pg_db_role_setting s join pg_roles r on r.oid = s.setrole,
    unnest(s.setconfig) as c (setting), split_part(setting, '=', 2) as v (value)
  where r.rolname = 'anon' and setting like 'statement_timeout=%'
    and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
  order by s.setdatabase desc limit 1
$$;
select grant_to_service('worker_call_limit()');

-- examine_head, also of claims that take too long: these fail no task and open an alert, with the outcome too_slow. A wait for
-- locks ends before the caller's own time does. statement_timeout has passed when it is caught here, so little may follow.
create or replace function examine_in_time(p_worker_id text) returns jsonb
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '3s' as $$
declare
  most interval := worker_call_limit();
  began timestamptz := clock_timestamp();
  answer jsonb;
  worker workers;
  problem text;
begin
  begin
    answer := examine_head(p_worker_id);
    problem := case when answer ->> 'outcome' = 'claimable' and clock_timestamp() - began > most
      then format('a claim takes %s s, and a worker''s is ended after %s s',
        round(extract(epoch from clock_timestamp() - began), 1), round(extract(epoch from most), 1)) end;
  exception when query_canceled or lock_not_available then
    problem := format('a claim did not end within %s s: %s', round(extract(epoch from clock_timestamp() - began), 1), sqlerrm);
  end;
  select * into worker from workers where id = p_worker_id;
  if problem is not null then
    perform open_alert('claims_slow', worker.pool, worker.pool, problem);
    return jsonb_build_object('outcome', 'too_slow', 'task_id', answer -> 'task_id', 'problem', problem);
  end if;
  perform close_alert('claims_slow', worker.pool);
  return answer;
end $$;
select grant_to_service('examine_in_time(text)');

-- For each full pass: where a task could have been claimed for p_wait_sec by a worker that lives and has had no task for as long,
-- the first task in that worker's line is examined, and the ones behind it if it is set aside. Answers as examine_in_time, of the
-- last one; null: there is no such worker. Where no task has waited that long, claims work.
create or replace function examine_line(p_pool text, p_wait_sec numeric default 15) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  long_ago timestamptz := now() - make_interval(secs => p_wait_sec);
  idle text;
  answer jsonb;
begin
  if not exists (
    select from (select updated_at, created_at from tasks where status = 'Queued' and gate = 'open' and pool = p_pool
      order by priority desc, vtime, id limit 1) as head
    where coalesce(head.updated_at, head.created_at) < long_ago)
  then
    perform close_alert(kind, p_pool) from unnest(array['claims_failing', 'claims_slow']) as k (kind);
    return null;
  end if;
  select w.id into idle from workers w
  where w.pool = p_pool and w.gone_at is null and w.status = 'active' and w.broken_at is null and w.origin <> 'job'
    and w.user_id is null and w.ready_at < long_ago and w.last_heartbeat > now() - interval '1 minute'
    and not exists (select from tasks where worker_id = w.id and lease_token is not null and lease_ended_at is null)
    and not exists (select from tasks where worker_id = w.id and lease_ended_at > long_ago)
    and not exists (select from ended_attempts where worker_id = w.id and ended_at > long_ago)
  order by w.id limit 1;
  for place in 1 .. 20 loop
    exit when idle is null or answer ->> 'outcome' <> 'set_aside';
    answer := examine_in_time(idle);
  end loop;
  return answer;
end $$;
select grant_to_service('examine_line(text, numeric)');
