-- Every object is granted and revoked explicitly, so that it holds on projects with and without automatic grants.

alter table pools enable row level security;
alter table projects enable row level security;
alter table task_types enable row level security;
alter table workers enable row level security;
alter table tasks enable row level security;
alter table task_attempts enable row level security;
alter table pool_events enable row level security;

revoke all on pools, projects, task_types, workers, tasks, task_attempts, pool_events from public, anon, authenticated;
grant select, insert, update, delete
  on pools, projects, task_types, workers, tasks, task_attempts, pool_events to service_role;

-- The record that node-pg-migrate keeps lies in the same schema; with another migration tool there is none.
do $$
begin
  if to_regclass('public.gpu_pool_migrations') is not null then
    alter table gpu_pool_migrations enable row level security;
    revoke all on gpu_pool_migrations from public, anon, authenticated;
    revoke all on sequence gpu_pool_migrations_id_seq from public, anon, authenticated;
  end if;
end $$;

revoke all on sequence pool_events_id_seq from public, anon, authenticated;

do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.proname as name
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'public' and p.proname in (
      'project_is_gated', 'open_held_tasks', 'require_task_state', 'tasks_admit', 'tasks_guard', 'tasks_stopped',
      'projects_regate', 'task_status_named', 'settle_parent', 'delegate_task', 'finish_and_claim',
      'close_attempt', 'one_line', 'percent_decoded', 'is_own_object', 'require_worker', 'lock_lease', 'open_claim',
      'lease_task', 'lease_next', 'claim_task', 'report_progress',
      'authorize_upload', 'finish_task', 'fail_task', 'release_task', 'worker_heartbeat', 'to_ms', 'journal', 'pool_open',
      'pool_intent', 'pool_set_intent', 'pool_turn_breaker', 'pool_reconfigure', 'account_spend', 'pool_fleet_hash',
      'pool_observe',
      'pool_record_decision', 'pool_begin_watch', 'pool_mark_mass_silence', 'reserve_workers', 'order_worker', 'worker_load',
      'worker_begin_post', 'worker_record_pod', 'worker_rearm_post', 'worker_burn_name', 'worker_boot_stage', 'drain_worker',
      'close_worker_leases', 'fail_worker', 'expel_worker', 'worker_deleted', 'worker_gone')
  loop
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
    -- Called with the public key and the pod's own token, which each of them checks.
    if f.name in ('claim_task', 'delegate_task', 'finish_and_claim', 'report_progress', 'authorize_upload', 'finish_task',
      'fail_task', 'release_task', 'worker_heartbeat')
    then
      execute format('grant execute on function %s to anon, authenticated', f.signature);
    end if;
  end loop;
end $$;
