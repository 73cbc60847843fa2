-- Notifications: what happened is written down in the transaction in which it happened; the workflow delivers it.

create table if not exists notification_endpoints (
  id uuid primary key default gen_random_uuid(),
  project_id uuid references projects (id) on delete cascade,
  pool text,
  url text not null check (url ~ '^https?://[^/[:space:]]+[^[:space:]]*$'),
  secret text not null default replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')
    check (length(secret) >= 16),
  kinds text[] not null default '{task.completed,task.failed}'
    check (kinds <@ array['task.completed', 'task.failed', 'pool.alert'] and cardinality(kinds) > 0),
  enabled boolean not null default true,
  created_at timestamptz not null default now()
);
comment on table notification_endpoints is 'Who is told of what. Written by the service role only: the Temporal worker sends requests to url.';
comment on column notification_endpoints.project_id is 'Null: every project.';
comment on column notification_endpoints.pool is 'Null: every pool.';
comment on column notification_endpoints.secret is 'Key of the signature (HMAC-SHA256).';
-- Serves the end of every task.
create index if not exists notification_endpoints_project on notification_endpoints (project_id) where enabled;

create table if not exists outbox (
  id bigint generated always as identity primary key,
  kind text not null,
  project_id uuid,
  pool text,
  payload jsonb not null,
  created_at timestamptz not null default now(),
  next_attempt_at timestamptz not null default now(),
  attempts integer not null default 0,
  delivered_at timestamptz,
  dead_at timestamptz,
  last_error text,
  endpoint_id uuid not null references notification_endpoints (id) on delete cascade
);
comment on table outbox is 'One row a notification and endpoint; its id is the same at every attempt.';
comment on column outbox.next_attempt_at is 'Due from here on. Taking a row moves it ahead, so that a sender that dies gives it back.';
-- Serves outbox_take: what is due of one endpoint.
create index if not exists outbox_due on outbox (endpoint_id, next_attempt_at) where delivered_at is null and dead_at is null;
-- Serves the removal of what was delivered long ago.
create index if not exists outbox_delivered on outbox (delivered_at) where delivered_at is not null;

alter table notification_endpoints enable row level security;
alter table outbox enable row level security;
revoke all on notification_endpoints, outbox from public, anon, authenticated;
grant select, insert, update, delete on notification_endpoints, outbox to service_role;
revoke all on sequence outbox_id_seq from public, anon, authenticated;

create or replace function notify_endpoints(p_kind text, p_project_id uuid, p_pool text, p_payload jsonb) returns void
language sql security definer set search_path = public, pg_temp as $$
  insert into outbox (kind, project_id, pool, payload, endpoint_id)
  select p_kind, p_project_id, p_pool, p_payload, id from notification_endpoints
  where enabled and p_kind = any (kinds) and (pool is null or pool = p_pool)
    and (project_id is null or project_id = p_project_id)
$$;

-- The result is whatever a worker gave: what it says is passed on only where it is of the right kind.
create or replace function notify_task_ended(p_task tasks) returns void
language sql security definer set search_path = public, pg_temp as $$
  select notify_endpoints(
    case p_task.status when 'Complete' then 'task.completed' else 'task.failed' end, p_task.project_id, p_task.pool,
    jsonb_build_object(
      'task_id', p_task.id, 'status', p_task.status, 'project_id', p_task.project_id, 'attempt', p_task.attempts,
      'video_url', coalesce(p_task.result_data ->> 'video_url', p_task.output_location),
      'processing_time', coalesce(
        case when jsonb_typeof(p_task.result_data -> 'processing_time_seconds') = 'number'
          then p_task.result_data -> 'processing_time_seconds' end,
        to_jsonb(round(extract(epoch from p_task.generation_processed_at - p_task.generation_started_at), 3))),
      'error', left(p_task.error_message, 2000)))
$$;

-- A task whose parent has failed is Failed from its first moment, and never stopped.
create or replace function tasks_born_failed() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform notify_task_ended(new);
  return null;
end $$;
create or replace trigger tasks_born_failed after insert on tasks for each row
when (new.status = 'Failed')
execute function tasks_born_failed();

-- An event of the journal whose kind is alert, or begins with alert., is an alert of its pool.
create or replace function pool_events_notify() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform notify_endpoints('pool.alert', null, new.pool, jsonb_build_object(
    'pool', new.pool, 'alert', new.kind, 'reason', new.reason, 'at', new.at, 'worker_id', new.worker_id,
    'task_id', new.task_id, 'details', new.details));
  return null;
end $$;
create or replace trigger pool_events_notify after insert on pool_events for each row
when (new.kind = 'alert' or starts_with(new.kind, 'alert.'))
execute function pool_events_notify();

-- Due notifications with where they go and the key that signs them; each is this caller's for a minute. At most five
-- of one endpoint, so that a slow one does not hold up the others.
create or replace function outbox_take(p_limit integer)
returns table (id bigint, kind text, payload jsonb, created_at timestamptz, attempts integer, endpoint_id uuid, url text, secret text)
language sql security definer set search_path = public, pg_temp as $$
  update outbox o set attempts = o.attempts + 1, next_attempt_at = now() + interval '1 minute'
  from (
    select due.id, e.url, e.secret
    from notification_endpoints e, lateral (
      select id, next_attempt_at from outbox
      where endpoint_id = e.id and delivered_at is null and dead_at is null and next_attempt_at <= now()
      order by next_attempt_at limit 5
      for update skip locked
    ) as due
    where e.enabled order by due.next_attempt_at limit greatest(0, least(p_limit, 100))
  ) as taken
  where o.id = taken.id
  returning o.id, o.kind, o.payload, o.created_at, o.attempts, o.endpoint_id, taken.url, taken.secret
$$;

create or replace function outbox_delivered(p_id bigint) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update outbox set delivered_at = now(), last_error = null where id = p_id and delivered_at is null and dead_at is null;
  return found;
end $$;

-- The next attempt is due in p_retry_sec; with p_dead there is none, and the journal of the pool says so.
create or replace function outbox_failed(p_id bigint, p_error text, p_retry_sec numeric, p_dead boolean default false) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row outbox;
begin
  update outbox set last_error = left(p_error, 500), dead_at = case when p_dead then now() end,
    next_attempt_at = now() + make_interval(secs => p_retry_sec::double precision)
  where id = p_id and delivered_at is null and dead_at is null
  returning * into row;
  if row.dead_at is not null then
    perform journal(coalesce(row.pool, 'main'), 'notification.dead',
      format('%s could not be delivered in %s attempts; last: %s', row.kind, row.attempts, row.last_error), null, null,
      jsonb_build_object('delivery', row.id, 'endpoint_id', row.endpoint_id, 'payload', row.payload));
  end if;
  return row.id is not null;
end $$;

-- Deletes what was delivered longer ago than this, at most 20,000 a call. What is dead stays, to be seen.
create or replace function outbox_clean(p_retention_hours integer default 168) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  gone integer;
begin
  if p_retention_hours is null or p_retention_hours < 1 then
    raise exception 'p_retention_hours must be at least 1, got %', coalesce(p_retention_hours::text, 'nothing')
      using errcode = 'PT400';
  end if;
  delete from outbox where id in (
    select id from outbox where delivered_at < now() - make_interval(hours => p_retention_hours)
    order by delivered_at limit 20000);
  get diagnostics gone = row_count;
  return jsonb_build_object('deleted', gone, 'more', gone = 20000);
end $$;

do $$
declare
  signature text;
begin
  foreach signature in array array[
    'notify_endpoints(text, uuid, text, jsonb)', 'notify_task_ended(tasks)', 'tasks_born_failed()', 'pool_events_notify()',
    'outbox_take(integer)', 'outbox_delivered(bigint)', 'outbox_failed(bigint, text, numeric, boolean)', 'outbox_clean(integer)']
  loop
    execute format('revoke all on function %s from public, anon, authenticated', signature);
    execute format('grant execute on function %s to service_role', signature);
  end loop;
end $$;
