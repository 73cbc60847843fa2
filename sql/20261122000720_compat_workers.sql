-- Functions about workers that workers of the old protocol, and the programs that supervise them, call.

-- Puts back the tasks of workers that have ended or have never sent a heartbeat. Other workers keep their tasks.
-- Answers how many leases ended.
create or replace function func_reset_orphaned_tasks(failed_worker_ids text[]) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker text;
  closed integer := 0;
begin
  if failed_worker_ids is null then
    perform refuse_argument('failed_worker_ids', 'a list of worker ids is expected, not null');
  end if;
  -- All turns come before the first row lock.
  perform take_turn(id) from (select distinct id from unnest(failed_worker_ids) as f (id) order by id) as w;
  for worker in select distinct id from unnest(failed_worker_ids) as f (id) where id is not null order by id loop
    -- Checked after the lock: a worker that has recovered meanwhile keeps its task.
    perform from workers where id = worker for update;
    if exists (
      select from workers where id = worker
        and (status in ('terminated', 'error') or gone_at is not null or last_heartbeat is null))
    then
      closed := closed + close_worker_leases(worker, 'worker_died', 'reset: its worker is not living');
    end if;
  end loop;
  return closed;
end $$;
select grant_to_service('func_reset_orphaned_tasks(text[])');

-- Records a heartbeat. Under the service role it registers an unknown worker as external. Answers {success,
-- worker_status}.
create or replace function func_update_worker_heartbeat(
  worker_id_param text, vram_total_mb_param integer default null, vram_used_mb_param integer default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  answer jsonb;
begin
  if vram_total_mb_param < 0 or vram_used_mb_param < 0 then
    perform refuse_argument(case when vram_total_mb_param < 0 then 'vram_total_mb_param' else 'vram_used_mb_param' end,
      'megabytes are expected, at least 0');
  end if;
  perform require_worker_id('worker_id_param', worker_id_param);
  if is_service() and not exists (select from workers where id = worker_id_param) then
    insert into workers (id, pool, origin) values (worker_id_param, default_pool(), 'external') on conflict (id) do nothing;
  end if;
  perform require_known_worker('worker_id_param', worker_id_param);
  answer := worker_heartbeat(worker_id_param, vram_total_mb_param, vram_used_mb_param);
  return jsonb_build_object('success', answer ->> 'worker_status' in ('active', 'terminating')) || answer;
end $$;
select grant_to_everyone('func_update_worker_heartbeat(text, integer, integer)');

-- The number that a text says, without its fraction. Null: it says none that an integer can hold.
create or replace function whole_number(p_text text) returns integer
language plpgsql immutable set search_path = public, pg_temp as $$
begin
  return trunc(p_text::numeric)::integer;
exception when others then
  return null;
end $$;
select grant_to_service('whole_number(text)');

-- Log lines as the database can store them, one for each. A line that it cannot store becomes null: it has a number that is
-- too large, or is nested too deeply.
create or replace function storable_lines(p_lines json) returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
declare
  line json;
  lines jsonb := '[]';
begin
  begin
    return (select coalesce(to_jsonb(array_agg(fit_line(line) order by place)), '[]')
      from jsonb_array_elements(p_lines::jsonb) with ordinality as l (line, place));
  exception when others then
    null;
  end;
  for line in select value from json_array_elements(p_lines) limit 1000 loop
    begin
      lines := lines || jsonb_build_array(fit_line(line::jsonb));
    exception when others then
      lines := lines || jsonb 'null';
    end;
  end loop;
  return lines;
end $$;
select grant_to_service('storable_lines(json)');

-- Records a heartbeat. The body of the request is {worker_id_param, vram_total_mb_param?, vram_used_mb_param?,
-- logs_param?, current_task_id_param?, status_param?}, with up to 1,000 log lines {timestamp, level, message, task_id,
-- metadata}. Lines are no progress of a task: such a worker writes none while it renders. status_param crashed is no
-- heartbeat. A status that says that the worker is broken is stored, with its last error line, and does not change the
-- row's status. Answers {success, heartbeat_updated, logs_inserted, log_errors, worker_status}; log_errors counts the lines
-- that were not stored.
-- One parameter without a name gets the body as it was sent. With named parameters PostgREST would unpack the body first,
-- and one NUL in a log line would make Postgres refuse all of it.
drop function if exists func_worker_heartbeat_with_logs(text, integer, integer, jsonb, uuid, text);
create or replace function func_worker_heartbeat_with_logs(json) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  -- The escape of NUL, unless its backslash is itself escaped.
  body json := regexp_replace($1::text, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::json;
  worker text := body ->> 'worker_id_param';
  reported text := lower(body ->> 'status_param');
  broken boolean := report_of_break(reported, null) is not null;
  said jsonb;
  logs json := coalesce(body -> 'logs_param', '[]');
  task uuid;
  lines jsonb := '[]';
  given integer := 0;
  answer jsonb;
  inserted integer := 0;
begin
  if json_typeof(logs) not in ('array', 'null') then
    perform refuse_argument('logs_param', format('a list is expected, not %s', json_typeof(logs)));
  end if;
  if broken and json_typeof(logs) = 'array' then
    select jsonb_build_object('message', line ->> 'message') into said
    from jsonb_array_elements(storable_lines(logs)) with ordinality as l (line, place)
    where jsonb_typeof(line) = 'object'
      and upper(coalesce(line ->> 'level', line ->> 'log_level')) in ('ERROR', 'CRITICAL', 'FATAL')
    order by place desc limit 1;
  end if;
  if reported = 'crashed' then
    perform require_known_worker('worker_id_param', worker);
    perform note_reported_status(worker, reported, said);
    select jsonb_build_object('success', true, 'worker_status', status) into answer from workers where id = worker;
  else
    answer := func_update_worker_heartbeat(worker, whole_number(body ->> 'vram_total_mb_param'),
      whole_number(body ->> 'vram_used_mb_param'));
    if broken then
      perform note_reported_status(worker, reported, said);
    end if;
  end if;
  if json_typeof(logs) = 'array' and json_array_length(logs) > 0 then
    given := json_array_length(logs);
    if body ->> 'current_task_id_param' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
      task := body ->> 'current_task_id_param';
    end if;
    select coalesce(to_jsonb(array_agg(jsonb_build_object('task_id', task) || line order by place)), '[]')
    into lines from jsonb_array_elements(storable_lines(logs)) with ordinality as l (line, place)
    where jsonb_typeof(line) = 'object' and place <= 1000;
    begin
      inserted := coalesce((worker_logs(worker, lines) ->> 'inserted')::integer, 0);
    exception when sqlstate 'PT429' then
      -- The heartbeat counts nevertheless.
      inserted := 0;
    end;
  end if;
  return answer || jsonb_build_object('logs_inserted', inserted, 'log_errors', given - inserted,
    'heartbeat_updated', reported is distinct from 'crashed' and (answer ->> 'success')::boolean);
end $$;
select grant_to_everyone('func_worker_heartbeat_with_logs(json)');
