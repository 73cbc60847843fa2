-- Lists for people: tasks and workers, filtered here, so that no more rows are transferred than are shown (service role only).

-- Lists of tasks, newest first, and statistics of a time. Rows stand in the order of their creation, so a range index finds
-- them, and a new task writes nothing to it.
create index if not exists tasks_created on tasks using brin (created_at) with (pages_per_range = 32, autosummarize = on);

-- The newest tasks, at most p_limit (1,000), as a list. The next page begins after the last row: p_before is its created_at,
-- p_after its id. It looks back by hours, days and months until it has enough, so the newest tasks of a long history cost
-- little, and no row is read twice. The filters are literals of the statement, so each list has a plan of its own.
create or replace function list_tasks(
  p_limit integer, p_status text[] default null, p_type text default null, p_pool text default null, p_project uuid default null,
  p_since timestamptz default null, p_before timestamptz default null, p_after uuid default null)
returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  filter constant text := concat(
    case when p_status is not null then format(' and status = any (%L)', p_status) end,
    case when p_type is not null then format(' and task_type = %L', p_type) end,
    case when p_pool is not null then format(' and pool = %L', p_pool) end,
    case when p_project is not null then format(' and project_id = %L', p_project) end,
    case when p_before is not null then
      format(' and (created_at < %L or created_at = %1$L and id > %L)', p_before, p_after) end);
  most constant integer := least(greatest(coalesce(p_limit, 1000), 0), 1000);
  newest constant timestamptz := coalesce(p_before, now());
  span interval;
  below timestamptz := 'infinity';
  oldest timestamptz;
  page jsonb;
  listed jsonb := '[]';
begin
  foreach span in array array['1 hour', '4 hours', '1 day', '4 days', '15 days', '60 days', '100 years']::interval[] loop
    oldest := greatest(newest - span, p_since);
    execute
      'select coalesce(json_agg(to_jsonb(t))::jsonb, ''[]'') from (
        select id, task_type, status, gate, pool, project_id, worker_id, priority, attempts, created_at, updated_at,
          generation_started_at, generation_processed_at, dependant_on, output_location, error_message
        from tasks where created_at >= $1 and created_at < $2' || filter || ' order by created_at desc, id limit $3) as t'
    into page using oldest, below, most - jsonb_array_length(listed);
    listed := listed || page;
    exit when jsonb_array_length(listed) >= most or oldest = p_since;
    below := oldest;
  end loop;
  return listed;
end $$;
select grant_to_service('list_tasks(integer, text[], text, text, uuid, timestamptz, timestamptz, uuid)');

-- The workers that are not gone, and with p_gone_since those that went since then, the oldest first, at most p_limit (1,000),
-- each with the task that it holds. phase: spawning; idle or busy, which are active; terminating; failing; gone. p_gpu: a part of
-- the name of its GPU. p_silent_sec: without a heartbeat for at least so long. left_out: how many more there are.
create or replace function list_workers(
  p_limit integer, p_pool text default null, p_phases text[] default null, p_gpu text default null,
  p_silent_sec double precision default null, p_gone_since timestamptz default null)
returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  with seen as materialized (
    select w.id, w.pool, w.status, w.origin, w.instance_type, w.pod_id, w.boot_stage, w.boot_stage_at, w.created_at, w.ready_at,
      w.last_heartbeat, w.vram_total_mb, w.vram_used_mb, w.status_reason, w.terminating_at, w.failed_at, w.failed_on,
      w.pod_created_at, w.deleted_at, w.gone_at, w.cost_per_hr_usd, w.cost_usd,
      case when w.gone_at is not null then 'gone' when w.status = 'error' then 'failing'
        when w.status = 'active' then case when a.task_id is null then 'idle' else 'busy' end else w.status end as phase,
      case when a.task_id is not null then jsonb_build_object('task_id', a.task_id, 'task_type', a.task_type, 'model', a.model,
        'progress', a.progress, 'started_at', a.started_at) end as held
    from workers w left join open_leases a on a.worker_id = w.id
    where (w.gone_at is null or w.gone_at >= p_gone_since) and (p_pool is null or w.pool = p_pool)
      and (p_gpu is null or strpos(lower(w.instance_type), lower(p_gpu)) > 0)
      and (p_silent_sec is null or w.last_heartbeat < now() - make_interval(secs => p_silent_sec))),
  chosen as (select * from seen where p_phases is null or phase = any (p_phases)),
  shown as (select * from chosen order by created_at, id limit least(greatest(p_limit, 0), 1000))
  select jsonb_build_object(
    'workers', (select coalesce(json_agg(to_jsonb(s) order by created_at, id)::jsonb, '[]') from shown s),
    'left_out', (select count(*) from chosen) - (select count(*) from shown))
$$;
select grant_to_service('list_workers(integer, text, text[], text, double precision, timestamptz)');
