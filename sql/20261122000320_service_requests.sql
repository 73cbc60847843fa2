-- A request to a paid service outlives the attempt that sent it: the next attempt asks how it went, and does not pay again.

create table if not exists service_requests (
  task_id uuid not null references tasks (id) on delete cascade,
  service text not null,
  attempt integer not null,
  request_id text,
  mark text,
  asked_at timestamptz not null default now(),
  primary key (task_id, service)
);
comment on table service_requests is 'The last request that a task sent to each paid service, kept by the worker that sent it.';
comment on column service_requests.attempt is 'The attempt that sent it.';
comment on column service_requests.request_id is 'As the service names it; null: it is about to be sent, and may have been.';
comment on column service_requests.mark is 'A part of the request by which it is found at the service if its answer was lost.';
select secure_table('service_requests');

-- Keeps or changes the request of the open lease; without p_request_id and p_mark it is forgotten.
create or replace function keep_request(
  p_task_id uuid, p_lease_token uuid, p_service text, p_request_id text default null, p_mark text default null)
returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := lock_lease(p_task_id, p_lease_token);
begin
  if lease.task_id is null or lease.ended_at is not null then
    return '{"held": false}';
  end if;
  if p_service is null or length(p_service) not between 1 and 100 then
    perform refuse_argument('p_service', 'a name of 1 to 100 characters is expected');
  end if;
  if length(p_request_id) > 500 or length(p_mark) > 2000 then
    perform refuse_argument(case when length(p_mark) > 2000 then 'p_mark' else 'p_request_id' end, 'is too long');
  end if;
  if coalesce(p_request_id, p_mark) is null then
    delete from service_requests where task_id = p_task_id and service = p_service;
  else
    insert into service_requests as kept (task_id, service, attempt, request_id, mark)
    values (p_task_id, p_service, lease.attempt, p_request_id, p_mark)
    on conflict (task_id, service) do update
    set attempt = excluded.attempt, request_id = excluded.request_id, mark = excluded.mark,
      asked_at = case when kept.attempt = excluded.attempt and kept.mark = excluded.mark then kept.asked_at else now() end;
  end if;
  return '{"held": true}';
end $$;
select grant_to_everyone('keep_request(uuid, uuid, text, text, text)');

-- Answers also to a lease that has ended, so that a worker can tell a cancelled task, whose request it cancels, from one that
-- another worker goes on with. task_status null: the task or the lease does not exist.
create or replace function kept_request(p_task_id uuid, p_lease_token uuid, p_service text) returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  lease task_attempts := own_lease(p_task_id, p_lease_token);
begin
  if lease.task_id is null then
    return '{"held": false, "task_status": null, "request": null}';
  end if;
  return jsonb_build_object(
    'held', lease.ended_at is null,
    'task_status', (select status from tasks where id = p_task_id),
    'request', (
      select jsonb_build_object('attempt', attempt, 'request_id', request_id, 'mark', mark, 'asked_at', asked_at)
      from service_requests where task_id = p_task_id and service = p_service));
end $$;
select grant_to_everyone('kept_request(uuid, uuid, text)');
