-- Drains of workers (service role only).

-- From now on claims refuse the worker. Its row is locked first, and a later statement looks for its leases: so it sees
-- a claim that this lock waited for. Answers drained, refused_busy or not_living. p_until_task_ends: no deadline ends
-- its task. A later drain without it sets a deadline, unless it is for idle workers only.
create or replace function drain_worker(
  p_worker_id text, p_reason text, p_only_idle boolean, p_until_task_ends boolean default false) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  busy boolean;
  outcome text := 'drained';
begin
  select * into worker from workers where id = p_worker_id for update;
  select exists (select from open_leases where worker_id = p_worker_id) into busy;
  if worker.status is null or worker.status in ('terminated', 'error') or worker.gone_at is not null then
    outcome := 'not_living';
  elsif worker.status = 'terminating' and (p_only_idle or p_until_task_ends or not worker.drains_without_deadline) then
    return jsonb_build_object('outcome', 'drained', 'busy', busy);
  elsif worker.status = 'terminating' then
    update workers set drains_without_deadline = false, terminating_at = now() where id = p_worker_id;
  elsif busy and p_only_idle then
    outcome := 'refused_busy';
    update workers set last_signal = 'ready' where id = p_worker_id;
  else
    update workers set status = 'terminating', status_reason = p_reason, terminating_at = now(),
      drains_without_deadline = busy and p_until_task_ends,
      last_signal = case when busy then last_signal else 'released' end,
      last_signal_at = case when busy then last_signal_at else clock_timestamp() end
    where id = p_worker_id;
  end if;
  perform journal(coalesce(worker.pool, '?'), 'worker.drain', format('%s: %s', outcome, p_reason), p_worker_id, null,
    jsonb_build_object('outcome', outcome, 'busy', busy));
  return jsonb_build_object('outcome', outcome, 'busy', busy);
end $$;
select grant_to_service('drain_worker(text, text, boolean, boolean)');

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
