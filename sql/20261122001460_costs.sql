-- The costs of the pods in a time, shared out (service role only). Nothing is written.

-- The bill of each worker in each part of the time: a day (UTC) with p_daily, else the whole. A worker without a pod, such as an
-- external one, costs nothing, but its tasks count. usd_per_hr is null where the price is not known.
create or replace function cost_bills(p_daily boolean, p_from timestamptz, p_to timestamptz, p_pool text) returns table (
  worker_id text, pool text, gpu text, about text, day timestamptz, from_at timestamptz, to_at timestamptz,
  usd_per_hr double precision, sec double precision, boot_sec double precision)
language sql stable security definer set search_path = public, pg_temp as $$
  select w.id, w.pool, coalesce(w.instance_type, '-'), case when w.gone_at is null then w.status else 'gone' end,
    part.day, part.from_at, part.to_at, coalesce(nullif(w.cost_per_hr_usd, 0), w.expected_usd_per_hr)::float8,
    case when w.pod_created_at is null then 0 else greatest(0, date_part('epoch',
      least(life.ended, part.to_at) - greatest(w.pod_created_at, part.from_at))) end,
    case when w.pod_created_at is null then 0 else greatest(0, date_part('epoch',
      least(life.ended, w.ready_at, part.to_at) - greatest(w.pod_created_at, part.from_at))) end
  from workers w
  cross join lateral (select coalesce(w.deleted_at, w.gone_at, p_to) as ended) as life
  cross join lateral (
    select null::timestamptz as day, p_from as from_at, p_to as to_at where not p_daily
    union all
    select d, greatest(d, p_from), least(d + interval '24 hours', p_to) from generate_series(
      date_trunc('day', greatest(coalesce(w.pod_created_at, w.created_at), p_from), 'UTC'), least(life.ended, p_to),
      interval '24 hours') as d where p_daily) as part
  where w.created_at < p_to and (w.gone_at is null or w.gone_at > p_from) and (p_pool is null or w.pool = p_pool)
    and part.from_at < part.to_at
$$;
select grant_to_service('cost_bills(boolean, timestamptz, timestamptz, text)');

-- The costs from p_from to p_to, at most p_limit rows, the dearest first, or the newest of days. p_by: day, pool, worker, gpu,
-- project, type or task. A worker's bill is shared among the tasks that it held in that time, by how long it held them; its idle
-- time is shared too, and what it cost while it held nothing is idle_usd. A worker that held no task in that time is in no
-- task's share: without_task_usd. A sub-task's cost is that of its orchestrator task. A finished task is one that was submitted,
-- not a sub-task; an orchestrator task counts where its last sub-task was done. unpriced: workers whose price is not known;
-- their cost counts as nothing. video_sec: as results say, where that is plausible. By offset 0 single rows of tasks are looked
-- up by their ids: the planner, which knows nothing of how many there are, would read the whole table.
create or replace function cost_report(
  p_by text, p_from timestamptz, p_to timestamptz, p_pool text default null, p_limit integer default 50)
returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
  upto constant timestamptz := least(coalesce(p_to, now()), now());
  by_task constant boolean := p_by in ('project', 'type', 'task');
  answer jsonb;
begin
  if p_by is null or p_by not in ('day', 'pool', 'worker', 'gpu', 'project', 'type', 'task') then
    perform refuse_argument('p_by', format('there are no costs by %s', coalesce(p_by, 'nothing')));
  end if;
  if p_from is null or p_from < upto - interval '400 days' then
    perform refuse_argument('p_from', 'at most 400 days are read');
  end if;
  with bills as materialized (
    select *, case p_by when 'day' then to_char(day at time zone 'UTC', 'YYYY-MM-DD') when 'pool' then pool when 'gpu' then gpu
      else worker_id end as key
    from cost_bills(p_by = 'day', p_from, upto, p_pool)),
  attempts as (
    select t.worker_id, t.leased_at as started_at, t.lease_ended_at as ended_at, t.lease_ended_at is not null as is_done,
      t.id, t.parent_id, t.task_type, t.project_id,
      case when t.parent_id is null then t.result_data -> 'duration_seconds' end as said
    from tasks t
    where t.lease_token is not null and (t.lease_ended_at is null or t.lease_ended_at > p_from)
    union all
    select e.worker_id, e.started_at, e.ended_at, false, e.task_id, t.parent_id, t.task_type, t.project_id, null
    from ended_attempts e left join lateral (
      select parent_id, task_type, project_id from tasks where by_task and id = e.task_id offset 0) as t on true
    where e.ended_at > p_from),
  held as materialized (
    select b.worker_id, b.key, b.day, b.usd_per_hr, b.sec, a.id, a.parent_id, a.task_type, a.project_id, a.said,
      a.is_done and a.ended_at <= b.to_at as is_done, a.ended_at, greatest(0.001, date_part('epoch',
        least(coalesce(a.ended_at, upto), b.to_at) - greatest(a.started_at, b.from_at))) as held_sec
    from bills b join attempts a on a.worker_id = b.worker_id
    where a.started_at < b.to_at and coalesce(a.ended_at, upto) > b.from_at),
  busy as materialized (
    select worker_id, day, sum(held_sec) as held_sec, least(sum(held_sec), min(sec)) as busy_sec
    from held group by worker_id, day),
  shares as (
    select root.type as task_type, h.worker_id, h.usd_per_hr,
      case p_by when 'project' then coalesce(h.project_id::text, '-') when 'type' then root.type
        else coalesce(h.parent_id, h.id)::text end as key,
      h.held_sec * h.sec / b.held_sec as sec, h.held_sec * b.busy_sec / b.held_sec as busy_sec
    from held h join busy b on b.worker_id = h.worker_id and b.day is not distinct from h.day
    cross join lateral (select case when h.parent_id is null then h.task_type else coalesce(
      (select task_type from tasks where id = h.parent_id), h.task_type) end as type) as root
    where by_task),
  sums as materialized (
    select b.key, case when p_by = 'worker' then min(b.gpu || ', ' || b.about) end as about,
      sum(b.usd_per_hr * b.sec) / 3600 as usd, sum(b.sec) as sec, sum(coalesce(h.busy_sec, 0)) as busy_sec,
      sum(b.usd_per_hr * (b.sec - coalesce(h.busy_sec, 0))) / 3600 as idle_usd,
      count(distinct b.worker_id) as workers,
      count(distinct b.worker_id) filter (where b.usd_per_hr is null and b.sec > 0) as unpriced
    from bills b left join busy h on h.worker_id = b.worker_id and h.day is not distinct from b.day
    where not by_task group by 1
    union all
    select key, case when p_by = 'task' then min(task_type) end, sum(usd_per_hr * sec) / 3600, sum(sec), sum(busy_sec),
      sum(usd_per_hr * (sec - busy_sec)) / 3600, count(distinct worker_id),
      count(distinct worker_id) filter (where usd_per_hr is null and sec > 0)
    from shares group by key),
  finished as (
    select key, id, task_type, project_id, case when jsonb_typeof(said) = 'number' then
      case when said::numeric between 0 and 86400 then said::float8 end end as video_sec
    from (
      select h.key, h.id, h.task_type, h.project_id, h.said from held h where h.is_done and h.parent_id is null
      union all
      select h.key, p.id, p.task_type, p.project_id, p.result_data -> 'duration_seconds'
      from (
        select distinct on (parent_id) parent_id, key from held
        where is_done and parent_id is not null order by parent_id, ended_at desc) as h
      cross join lateral (select * from tasks where id = h.parent_id offset 0) as p
      where p.status = 'Complete' and p.parent_id is null and p.generation_processed_at between p_from and upto) as f),
  made as materialized (
    select case p_by when 'project' then coalesce(project_id::text, '-') when 'type' then task_type when 'task' then id::text
        else key end as key,
      count(*) as finished, count(video_sec) as videos, sum(video_sec) as video_sec
    from finished group by 1),
  rows as materialized (
    select s.key as "of", s.about, round(s.usd::numeric, 6) as usd, s.sec as billed_sec, s.busy_sec,
      round(s.idle_usd::numeric, 6) as idle_usd, s.workers, s.unpriced, coalesce(m.finished, 0) as finished,
      coalesce(m.videos, 0) as videos, coalesce(m.video_sec, 0) as video_sec
    from sums s left join made m on m.key = s.key),
  shown as (
    select * from rows order by case when p_by = 'day' then "of" end desc, usd desc nulls last, "of"
    limit greatest(0, least(coalesce(p_limit, 50), 1000)))
  select jsonb_build_object(
    'from', p_from, 'to', upto,
    'total', (select jsonb_build_object(
        'usd', round(coalesce(sum(b.usd_per_hr * b.sec), 0)::numeric / 3600, 6), 'billed_sec', coalesce(sum(b.sec), 0),
        'busy_sec', coalesce(sum(h.busy_sec), 0),
        'idle_usd', round(coalesce(sum(b.usd_per_hr * (b.sec - coalesce(h.busy_sec, 0))), 0)::numeric / 3600, 6),
        'boot_usd', round(coalesce(sum(b.usd_per_hr * b.boot_sec), 0)::numeric / 3600, 6),
        'without_task_usd', round(coalesce(sum(b.usd_per_hr * b.sec) filter (where h.worker_id is null), 0)::numeric / 3600, 6),
        'workers', count(distinct b.worker_id),
        'unpriced', count(distinct b.worker_id) filter (where b.usd_per_hr is null and b.sec > 0))
      from bills b left join busy h on h.worker_id = b.worker_id and h.day is not distinct from b.day)
      || (select jsonb_build_object('finished', coalesce(sum(finished), 0), 'videos', coalesce(sum(videos), 0),
          'video_sec', coalesce(sum(video_sec), 0))
        from made),
    'rows', (
      select coalesce(
        json_agg(to_jsonb(s) order by case when p_by = 'day' then "of" end desc, usd desc nulls last, "of")::jsonb, '[]')
      from shown s),
    'left_out', (select count(*) from rows) - (select count(*) from shown))
  into answer;
  return answer;
end $$;
select grant_to_service('cost_report(text, timestamptz, timestamptz, text, integer)');
