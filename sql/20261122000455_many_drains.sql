-- Drains many workers, each as drain_worker does. p_orders: a list of {worker_id, reason, only_idle, until_task_ends}.
-- Answers those that refused, because they are busy. The rows are locked in the order of their ids, so that two calls
-- never wait for each other.
create or replace function drain_workers(p_orders jsonb) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  given record;
  refused jsonb := '[]';
begin
  for given in
    select * from jsonb_to_recordset(p_orders)
      as o(worker_id text, reason text, only_idle boolean, until_task_ends boolean) order by worker_id
  loop
    if drain_worker(given.worker_id, given.reason, given.only_idle, given.until_task_ends)->>'outcome' = 'refused_busy' then
      refused := refused || to_jsonb(given.worker_id);
    end if;
  end loop;
  return refused;
end $$;
select grant_to_service('drain_workers(jsonb)');
