-- Statistics of the tasks of a time, and why tasks fail (service role only). Nothing is written.

-- A failure's text without what differs from case to case, so that failures alike have the same text: addresses, ids, paths and
-- numbers become <url>, <id>, <path> and <n>.
create or replace function failure_likeness(p_text text) returns text
language sql immutable set search_path = public, pg_temp as $$
  select left(btrim(
    regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
      left(p_text, 1000),
      '\y[a-z][a-z0-9+.-]*://[^\s''"<>]+', '<url>', 'gi'),
      '\y[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\y', '<id>', 'gi'),
      '(^|[\s''"(=:,\[])(~|\.{1,2}|[a-z]:)?[/\\][^\s''"(),;:\]]+', '\1<path>', 'gi'),
      '\y(?=[0-9a-f]*[0-9])[0-9a-f]{8,}\y', '<id>', 'gi'),
      '[-+]?\d+(\.\d+)*', '<n>', 'g'),
      '\s+', ' ', 'g')), 200)
$$;
select grant_to_service('failure_likeness(text)');

-- The tasks that were created since p_since: by status, and by type and model with how long they waited and ran (p50 and p95,
-- in seconds), the most frequent first; and the failures by likeness, with an example. waited: from when it could be claimed to
-- its last claim. ran: from there to its end; of an orchestrator task, with its sub-tasks. failed: tasks that failed so;
-- attempts: that ended so, also of tasks that were tried again. At most p_limit kinds and causes.
create or replace function task_stats(
  p_since timestamptz, p_pool text default null, p_project uuid default null, p_type text default null,
  p_limit integer default 20)
returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
  most constant integer := greatest(1, least(coalesce(p_limit, 20), 1000));
  answer jsonb;
begin
  with seen as materialized (
    select t.id, t.task_type, t.status::text as status, t.leases, t.updated_at,
      case when jsonb_typeof(t.params -> 'model') = 'string' then left(t.params ->> 'model', 100)
        when jsonb_typeof(t.params -> 'model_name') = 'string' then left(t.params ->> 'model_name', 100) end as model,
      greatest(0, date_part('epoch', coalesce(t.leased_at, t.generation_started_at)
        - case when t.leased_at is null then t.created_at else coalesce(t.claimable_at, t.created_at) end)) as waited,
      case when t.status = 'Complete' then greatest(0, date_part('epoch', coalesce(t.lease_ended_at, t.generation_processed_at)
        - coalesce(t.leased_at, t.generation_started_at))) end as ran,
      case when t.status = 'Failed' then coalesce(t.error_message, 'no reason was given') end as error
    from tasks t
    where t.created_at >= p_since and (p_pool is null or t.pool = p_pool) and (p_project is null or t.project_id = p_project)
      and (p_type is null or t.task_type = p_type)),
  kinds as materialized (
    select grouping(task_type) = 1 as is_total, task_type, model, count(*) as tasks,
      count(*) filter (where status = 'Queued') as queued, count(*) filter (where status = 'In Progress') as running,
      count(*) filter (where status = 'Complete') as complete, count(*) filter (where status = 'Failed') as failed,
      count(*) filter (where status = 'Cancelled') as cancelled, count(*) filter (where leases > 1) as tried_again,
      percentile_cont(array[0.5, 0.95]) within group (order by waited) as waited_sec,
      percentile_cont(array[0.5, 0.95]) within group (order by ran) as ran_sec
    from seen group by grouping sets ((), (task_type, model))),
  errors as (
    select id as task_id, task_type, error, true as is_end, updated_at as at from seen where error is not null
    union all
    select s.id, s.task_type, coalesce(e.error, e.cause), false, e.ended_at
    from seen s join ended_attempts e on e.task_id = s.id
    where s.leases > 0 and e.cause in ('task_error', 'worker_died', 'stuck', 'host_lost')),
  causes as materialized (
    select failure_likeness(error) as likeness, count(*) filter (where is_end) as failed,
      count(*) filter (where not is_end) as attempts,
      count(distinct task_type) as types, min(task_type) as task_type, max(at) as last_at,
      (array_agg(task_id order by at desc))[1] as example_id, left((array_agg(error order by at desc))[1], 500) as example
    from errors group by 1)
  select jsonb_build_object(
    'total', (select to_jsonb(k) - '{is_total,task_type,model}'::text[] from kinds k where is_total),
    'kinds', (select coalesce(json_agg(to_jsonb(k) - 'is_total' order by tasks desc, task_type, model)::jsonb, '[]') from (
      select * from kinds where not is_total order by tasks desc, task_type, model limit most) as k),
    'kinds_left_out', greatest(0, (select count(*) - 1 from kinds) - most),
    'causes', (select coalesce(json_agg(to_jsonb(c) order by failed desc, attempts desc, likeness)::jsonb, '[]') from (
      select * from causes order by failed desc, attempts desc, likeness limit most) as c),
    'causes_left_out', greatest(0, (select count(*) from causes) - most))
  into answer;
  return answer;
end $$;
select grant_to_service('task_stats(timestamptz, text, uuid, text, integer)');
