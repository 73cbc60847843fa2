-- The tasks that a pool's workers have served, for a backtest (service role only). Nothing is written.

-- One page of the attempts that ended after p_from and took their worker's time until then: since when each could be claimed, its
-- seconds and its type. Pages go from worker to worker by id, and from end to end; p_worker and p_after are the last page's
-- next_worker and next_after, which are null after the last one. A worker holds one task at a time, so no two attempts of it end
-- at the same time.
create or replace function pool_history(
  p_pool text, p_from timestamptz, p_worker text default '', p_after timestamptz default null, p_limit integer default 2000)
returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  worker text;
  page jsonb;
  served jsonb := '[]';
  ended timestamptz;
  most constant integer := greatest(1, least(10000, coalesce(p_limit, 2000)));
  seen integer := 0;
  found_rows integer;
begin
  for worker in
    select id from workers
    where pool = p_pool and origin <> 'job' and id >= p_worker and (gone_at is null or gone_at >= p_from) order by id
  loop
    select coalesce(jsonb_agg(jsonb_build_object('at_ms', to_ms(coalesce(a.claimable_at, a.started_at)),
        'seconds', greatest(0, extract(epoch from a.ended_at - a.started_at)), 'type', t.task_type) order by a.ended_at)
        filter (where a.cause in ('completed', 'task_error', 'delegated')), '[]'), max(a.ended_at), count(*)
    into page, ended, found_rows
    from (
      select task_id, claimable_at, started_at, ended_at, cause from task_attempts
      where worker_id = worker and ended_at > case when worker = p_worker then coalesce(p_after, p_from) else p_from end
      order by ended_at limit most - seen) as a
    join tasks t on t.id = a.task_id;
    served := served || page;
    seen := seen + found_rows;
    exit when seen >= most;
  end loop;
  return jsonb_build_object('tasks', served, 'next_worker', case when seen >= most then worker end,
    'next_after', case when seen >= most then ended end);
end $$;
select grant_to_service('pool_history(text, timestamptz, text, timestamptz, integer)');
