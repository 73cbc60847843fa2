-- These functions delete old rows, so that no table grows without end. The janitor calls them (service role only).

-- Retention of attempts. The index is tiny, and an attempt does not change its start.
create index if not exists ended_attempts_age on ended_attempts using brin (started_at);

-- Deletes these workers, except those that something still needs, such as a table of another program. Answers how many.
create or replace function delete_workers(p_ids text[]) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  one text;
  gone integer := 0;
begin
  begin
    update tasks set worker_id = null where worker_id = any (p_ids);
    delete from workers where id = any (p_ids);
    get diagnostics gone = row_count;
    return gone;
  exception when others or assert_failure then
    if not is_refusal(sqlstate) then
      raise;
    end if;
  end;
  foreach one in array p_ids loop
    begin
      update tasks set worker_id = null where worker_id = one;
      delete from workers where id = one;
      gone := gone + 1;
    exception when others or assert_failure then
      perform set_row_aside(one, (select pool from workers where id = one), 'an old worker cannot be deleted', sqlstate, sqlerrm);
    end;
  end loop;
  return gone;
end $$;
select grant_to_service('delete_workers(text[])');

-- Deletes rows that are older than p_days, at most p_limit a call, so that it ends within any statement timeout. Call
-- it again while it answers "more". Tables: pool_events, worker_diagnostics, alerts (closed ones), pool_minutes, worker_processes
-- (whose last sign of life is that old), task_attempts (of ended tasks; a completed one is taken out of its task's row),
-- service_requests (of ended tasks), workers (whose pods are gone). Of each pool the last worker of known price stays, because
-- budgets need that price.
create or replace function clean_up_table(p_table text, p_days integer, p_limit integer default 2000) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  cutoff timestamptz := now() - make_interval(days => p_days);
  old_workers text[];
  completed integer;
  gone integer;
begin
  if p_days is null or p_days < 1 then
    perform refuse_argument('p_days', format('expected at least 1, got %s', coalesce(p_days::text, 'nothing')),
      'The budget of the day and the rules of the last hours need these rows.');
  end if;
  case p_table
    -- Ids follow the time, so the oldest rows are found without another index.
    when 'pool_events' then
      delete from pool_events where id in (
        select id from (select id, at from pool_events order by id limit p_limit) as oldest where at < cutoff);
    when 'worker_diagnostics' then
      delete from worker_diagnostics where id in (
        select id from (select id, collected_at from worker_diagnostics order by id limit p_limit) as oldest
        where collected_at < cutoff);
    when 'alerts' then
      delete from alerts where id in (select id from alerts where closed_at < cutoff order by id limit p_limit);
    when 'pool_minutes' then
      delete from pool_minutes m using (
        select of_pool.pool, of_pool.minute from pools p cross join lateral (
          select pool, minute from pool_minutes where pool = p.name and minute < cutoff order by minute limit p_limit) as of_pool
        limit p_limit) as old
      where m.pool = old.pool and m.minute = old.minute;
    when 'worker_processes' then
      delete from worker_processes where id in (select id from worker_processes where seen_at < cutoff limit p_limit);
    when 'task_attempts' then
      update tasks set lease_token = null, leased_at = null, lease_ended_at = null where id in (
        select t.id from workers w cross join lateral (
          select id from tasks where worker_id = w.id and lease_ended_at < cutoff limit p_limit) as t
        limit p_limit);
      get diagnostics completed = row_count;
      delete from ended_attempts where (task_id, attempt) in (
        select a.task_id, a.attempt from ended_attempts a join tasks t on t.id = a.task_id
        where a.started_at < cutoff and a.ended_at < cutoff and t.status in ('Complete', 'Failed', 'Cancelled')
          and t.updated_at < cutoff
        limit p_limit - completed);
    when 'service_requests' then
      delete from service_requests where (task_id, service) in (
        select r.task_id, r.service from service_requests r join tasks t on t.id = r.task_id
        where r.asked_at < cutoff and t.status in ('Complete', 'Failed', 'Cancelled')
        limit p_limit);
    when 'workers' then
      select array_agg(id) into old_workers from (
        select w.id from workers w
        where w.gone_at < cutoff and not exists (select from ended_attempts where worker_id = w.id)
          and not exists (select from tasks where worker_id = w.id and lease_token is not null)
          and w.id not in (
            select id from pools p, lateral (
              select id from workers
              where pool = p.name and origin = 'pool' and cost_per_hr_usd is not null order by created_at desc limit 1) as last)
          and not exists (select from tasks where worker_id = w.id and status in ('Queued', 'In Progress'))
        order by w.gone_at limit least(p_limit, 500)
        for no key update skip locked) as old;
      gone := delete_workers(old_workers);
      return jsonb_build_object('deleted', gone, 'more', gone = least(p_limit, 500));
    else
      perform refuse_argument('p_table', 'has no retention');
  end case;
  get diagnostics gone = row_count;
  gone := gone + coalesce(completed, 0);
  return jsonb_build_object('deleted', gone, 'more', gone = p_limit);
end $$;
select grant_to_service('clean_up_table(text, integer, integer)');

-- Looks at p_limit objects of the bucket that follow p_after in the order of names, and answers those that are older than
-- p_days and lie below the id of a task that was deleted, unless the result of another task names them. `last`: continue
-- after this name; null: there are no more objects. The caller deletes the files through the storage service.
create or replace function orphan_files(p_bucket text, p_days integer, p_after text default '', p_limit integer default 2000)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  last_name text;
  seen integer;
  orphans text[];
begin
  if p_days is null or p_days < 1 then
    perform refuse_argument('p_days', format('expected at least 1, got %s', coalesce(p_days::text, 'nothing')));
  end if;
  if to_regclass('storage.objects') is null then
    return jsonb_build_object('names', '[]'::jsonb, 'last', null);
  end if;
  with page as materialized (
    select name, created_at from storage.objects where bucket_id = p_bucket and name > p_after order by name limit p_limit)
  select max(name), count(*),
    array_agg(name) filter (where created_at < now() - make_interval(days => p_days)
      and name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/'
      and not exists (select from tasks where id = case
        when name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/' then left(name, 36)::uuid end))
  into last_name, seen, orphans from page;
  -- An orchestrator task may pass on the file of a sub-task.
  if orphans is not null then
    select array_agg(name) into orphans from unnest(orphans) as o(name)
    where name not in (
      select split_part(split_part(output_location, '/object/public/' || p_bucket || '/', 2), '?', 1)
      from tasks where output_location is not null);
  end if;
  return jsonb_build_object('names', to_jsonb(coalesce(orphans, '{}')), 'last', case when seen = p_limit then last_name end);
end $$;
select grant_to_service('orphan_files(text, integer, text, integer)');
