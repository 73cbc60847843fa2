-- Alerts: conditions that a person should know of. Each opens once for its kind and subject, and closes by itself when
-- its condition is over. Opening and closing are journaled and notified once each.

-- The only list of the kinds. docs/alerts.md explains each.
create table if not exists alert_kinds (
  kind text primary key,
  what_to_do text not null
);
comment on table alert_kinds is 'One row per kind of alert, with the first thing to do about it.';
select secure_table('alert_kinds');
insert into alert_kinds (kind, what_to_do) values
  ('workers_stale', 'Look whether workers reach the database (gpu-pool logs); the pool ends silent workers by itself '
    'once it trusts its evidence.'),
  ('task_stuck', 'Look at the task''s log (gpu-pool logs --task); raise stuck_timeout_sec of its type if it needs longer.'),
  ('queue_waiting', 'Look why the pool does not grow (gpu-pool explain); raise MAX_ACTIVE_GPUS or a budget if it is too low.'),
  ('breaker_open', 'Look why workers fail before they are ready (gpu-pool explain, gpu-pool logs); gpu-pool resume closes the '
    'breaker at once.'),
  ('no_funds', 'Add funds to the provider''s account, or raise its spend limit. The pool tries again by itself.'),
  ('no_placement', 'Read in its message which places refuse and which are passed over; list more GPU types, clouds or data '
    'centers, or correct the request (gpu-pool config set). The pool tries again by itself.'),
  ('delete_failing', 'Delete the pod in the provider''s console if it still runs: it may cost money.'),
  ('budget_reached', 'Raise MAX_HOURLY_SPEND_USD or DAILY_BUDGET_USD. A spent daily budget begins anew at midnight UTC.'),
  ('budget_near', 'Look what costs (gpu-pool costs), and raise DAILY_BUDGET_USD if the day needs more: no worker starts once '
    'it is spent.'),
  ('orphan_found', 'Look at the pod in the provider''s console: no worker of this database owns it. Delete it if '
    'nobody needs it.'),
  ('deletion_cap_reached', 'Look at what would be deleted (gpu-pool janitor --dry-run): more pods than one pass may delete.'),
  ('pool_silent', 'Look whether a Temporal worker process runs and reaches Temporal and the database.'),
  ('pool_brought_back', 'Look why the pool''s workflow ended. If it came back paused: gpu-pool resume.'),
  ('no_worker_process', 'Start a worker process (gpu-pool run), or look in its log why it does not reach the database.'),
  ('host_disk_full', 'Make room on the disk of this host: its Temporal worker, and what else runs there, may stop.'),
  ('webhook_dead', 'Look why its receiver refuses (gpu-pool notifications dead); send again what died (gpu-pool notifications '
    'retry), or remove the endpoint (gpu-pool notifications remove).'),
  ('target_wait_missed', 'Raise TARGET_WAIT_SEC to what its message says can be reached; or keep more GPUs (MIN_ACTIVE_GPUS, '
    'MAX_ACTIVE_GPUS, MACHINES_TO_KEEP_IDLE), make boots shorter, or allow a higher MAX_WAIT_VALUE.'),
  ('no_able_worker', 'Start workers that can do them (gpu-pool worker token); or set WORKER_TASK_TYPES, if new workers of the '
    'pool can; or cancel the tasks. gpu-pool status has their number.'),
  ('worker_sick', 'Look at the failures of this worker''s tasks (gpu-pool logs --worker).'),
  ('deployment_conflict', 'Give each deployment its own TEMPORAL_TASK_QUEUE and pool names.'),
  ('row_set_aside', 'Read in its message what refuses the row, and mend or delete the row (gpu-pool task cancel for a task). '
    'What set it aside tries it again by itself; a task that was failed comes back by gpu-pool task retry.'),
  ('claims_failing', 'Look at the errors of the database (gpu-pool logs): claims fail, whatever task is first in line.'),
  ('claims_slow', 'Look what holds locks in the database or loads it (pg_stat_activity): the claims of workers take too long.'),
  ('pool_undecided', 'Look at the Temporal worker''s log: the pool cannot be observed, so nothing is decided.'),
  ('record_failing', 'Look at the error of the database (gpu-pool logs); what cannot be recorded is tried again until it can.')
on conflict (kind) do update set what_to_do = excluded.what_to_do;

create table if not exists alerts (
  id bigint generated always as identity primary key,
  kind text not null references alert_kinds (kind),
  subject text not null,
  pool text,
  message text not null,
  opened_at timestamptz not null default now(),
  closed_at timestamptz
);
comment on table alerts is 'What needs a person, now (closed_at is null) and before.';
comment on column alerts.subject is
  'What the alert is about: a pool, a worker, a pod, a task, or account for the whole account.';
comment on column alerts.pool is 'Null: it concerns every pool.';
select secure_table('alerts');
-- Opening, closing and every list of what is open.
create unique index if not exists alerts_open on alerts (kind, subject) where closed_at is null;

-- An alert of every pool stands in the journal of each of them.
create or replace function tell_alert(p_alert alerts) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  state text := case when p_alert.closed_at is null then 'opened' else 'closed' end;
begin
  insert into pool_events (pool, kind, reason, details)
  select name, 'alert.' || state, format('%s of %s: %s', p_alert.kind, p_alert.subject, p_alert.message),
    jsonb_build_object('alert', p_alert.kind, 'subject', p_alert.subject)
  from (
    select p_alert.pool as name where p_alert.pool is not null
    union all
    select p.name from pools p where p_alert.pool is null) as concerned;
  perform notify_endpoints('pool.alert', null, p_alert.pool, (
    select jsonb_build_object('alert', p_alert.kind, 'state', state, 'subject', p_alert.subject, 'pool', p_alert.pool,
      'message', p_alert.message, 'what_to_do', k.what_to_do, 'opened_at', p_alert.opened_at, 'closed_at', p_alert.closed_at)
    from alert_kinds k where k.kind = p_alert.kind));
end $$;
select grant_to_service('tell_alert(alerts)');

-- Opens the alert unless it is open; then only a changed message is stored, and nobody is notified again. A null pool
-- means every pool. Answers whether it was opened now.
create or replace function open_alert(p_kind text, p_subject text, p_pool text, p_message text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  alert alerts;
  told text := left(p_message, 2000);
begin
  perform from alerts where kind = p_kind and subject = p_subject and closed_at is null and message = told;
  if found then
    return false;
  end if;
  insert into alerts (kind, subject, pool, message) values (p_kind, p_subject, p_pool, told)
  on conflict (kind, subject) where closed_at is null do nothing
  returning * into alert;
  if found then
    perform tell_alert(alert);
    return true;
  end if;
  update alerts set message = told
  where kind = p_kind and subject = p_subject and closed_at is null and message is distinct from told;
  return false;
end $$;
select grant_to_service('open_alert(text, text, text, text)');

-- Closes the alert if it is open. Answers whether it was closed now.
create or replace function close_alert(p_kind text, p_subject text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  alert alerts;
begin
  update alerts set closed_at = now() where kind = p_kind and subject = p_subject and closed_at is null
  returning * into alert;
  if found then
    perform tell_alert(alert);
    return true;
  end if;
  return false;
end $$;
select grant_to_service('close_alert(text, text)');

-- Whether an error is a refusal, which the same call would meet again; not one of time, locks, resources or operators.
create or replace function is_refusal(p_sqlstate text) returns boolean
language sql immutable set search_path = public, pg_temp as $$ select p_sqlstate !~ '^(08|40|53|55|57|58)' $$;
select grant_to_service('is_refusal(text)');

-- Names a row that a batch leaves out, because the database refuses what the batch does with it. Called in the handler of the
-- error, which goes on as it came if it is no refusal. p_pool: null where the subject is a task or concerns every pool.
create or replace function set_row_aside(p_subject text, p_pool text, p_problem text, p_sqlstate text, p_error text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  concerned text := p_pool;
  reason text := left(p_error, 1000);
begin
  if not is_refusal(p_sqlstate) then
    raise exception '%', p_error using errcode = p_sqlstate;
  end if;
  if concerned is null and p_subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    select pool into concerned from tasks where id = p_subject::uuid;
  end if;
  if open_alert('row_set_aside', p_subject, concerned, format('%s: %s (%s)', p_problem, reason, p_sqlstate))
    and concerned is not null
  then
    perform journal(concerned, 'row.set_aside', format('%s: %s: %s', p_subject, p_problem, reason));
  end if;
end $$;
select grant_to_service('set_row_aside(text, text, text, text, text)');

-- For conditions that are found anew each time: of p_pool's alerts of the kinds p_kinds, exactly those of p_current
-- ([{kind, subject, message}]) are open afterwards. A null pool means the alerts that concern every pool.
create or replace function settle_alerts(p_pool text, p_kinds text[], p_current jsonb) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  -- In one order, so that two calls at once never wait for each other.
  perform open_alert(c.kind, c.subject, p_pool, c.message)
  from (
    select * from jsonb_to_recordset(p_current) as r(kind text, subject text, message text) order by kind, subject) as c
  where c.kind = any (p_kinds);
  perform close_alert(a.kind, a.subject)
  from (
    select kind, subject from alerts
    where closed_at is null and kind = any (p_kinds) and pool is not distinct from p_pool order by kind, subject) as a
  where not exists (
    select from jsonb_to_recordset(p_current) as r(kind text, subject text)
    where r.kind = a.kind and r.subject = a.subject);
end $$;
select grant_to_service('settle_alerts(text, text[], jsonb)');
