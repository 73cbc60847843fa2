-- Where notifications are sent, which are due, and what writes them. A trigger writes a notification in the transaction
-- in which the event happens; a workflow delivers it.

create table if not exists notification_endpoints (
  id uuid primary key default gen_random_uuid(),
  project_id uuid references projects (id) on delete cascade,
  pool text,
  url text not null check (url ~ '^https?://[^/[:space:]]+[^[:space:]]*$'),
  secret text not null default replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')
    check (length(secret) >= 16),
  kinds text[] not null default '{task.completed,task.failed}'
    check (kinds <@ array['task.completed', 'task.failed', 'task.reopened', 'pool.alert'] and cardinality(kinds) > 0),
  format text not null default 'json' check (format in ('json', 'slack')),
  setting text unique,
  enabled boolean not null default true,
  created_at timestamptz not null default now()
);
comment on table notification_endpoints is
  'Addresses for notifications. Only the service role writes here, because the Temporal worker sends requests to url.';
comment on column notification_endpoints.project_id is 'Null: every project.';
comment on column notification_endpoints.pool is 'Null: every pool.';
comment on column notification_endpoints.format is 'json: all fields; slack: {"text": …}.';
comment on column notification_endpoints.setting is 'The environment variable that made it; null: it was added by hand.';
comment on column notification_endpoints.secret is 'Key of the signature (HMAC-SHA256).';
select secure_table('notification_endpoints');
-- End of every task.
create index if not exists notification_endpoints_project on notification_endpoints (project_id) where enabled;

create table if not exists outbox (
  id bigint generated always as identity primary key,
  kind text not null,
  project_id uuid,
  pool text,
  payload jsonb not null check (jsonb_typeof(payload) = 'object'),
  created_at timestamptz not null default now(),
  next_attempt_at timestamptz not null default now(),
  attempts integer not null default 0,
  delivered_at timestamptz,
  dead_at timestamptz,
  last_error text,
  endpoint_id uuid not null references notification_endpoints (id) on delete cascade
);
comment on table outbox is 'One row per notification and endpoint. Its id is the same at every attempt.';
comment on column outbox.next_attempt_at is
  'Due from this time on. Taking a row moves this time ahead, so that another sender takes it if the first one dies.';
select secure_table('outbox');
-- outbox_take: the due notifications of one endpoint.
create index if not exists outbox_due on outbox (endpoint_id, next_attempt_at) where delivered_at is null and dead_at is null;
-- outbox_clean: notifications that were delivered or given up long ago.
create index if not exists outbox_ended on outbox (coalesce(delivered_at, dead_at))
  where coalesce(delivered_at, dead_at) is not null;

-- A null pool means every pool: the endpoints of single pools are notified too.
create or replace function notify_endpoints(p_kind text, p_project_id uuid, p_pool text, p_payload jsonb) returns void
language sql security definer set search_path = public, pg_temp as $$
  insert into outbox (kind, project_id, pool, payload, endpoint_id)
  select p_kind, p_project_id, p_pool, p_payload, id from notification_endpoints
  where enabled and p_kind = any (kinds) and (pool is null or p_pool is null or pool = p_pool)
    and (project_id is null or project_id = p_project_id)
$$;
select grant_to_service('notify_endpoints(text, uuid, text, jsonb)');

-- A worker may write anything into the result, so a field is passed on only if it has the right type.
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
select grant_to_service('notify_task_ended(tasks)');
