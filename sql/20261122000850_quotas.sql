-- Quotas of a project and of a credential, counted when they are asked for: over an index, up to the limit and no further. There
-- is no counter, which everybody would write. The service key has none.

-- Refuses another task of a project that has too many.
create or replace function require_task_room(p_project uuid) returns void
language plpgsql stable security definer set search_path = public, pg_temp set enable_seqscan = off as $$
declare
  most limits;
begin
  select * into most from limits;
  if most.tasks_per_min <= (
    select count(*) from (select from tasks where project_id = p_project and created_at > now() - interval '1 minute'
      order by created_at desc, id desc limit most.tasks_per_min) as latest)
  then
    perform refuse_beyond('PT429', 'project_id', format('more than %s tasks within a minute', most.tasks_per_min),
      'tasks_per_min');
  end if;
  if most.open_tasks <= (
    select count(*) from (select from tasks where project_id = p_project and status = 'Queued' limit most.open_tasks) as waiting)
  then
    perform refuse_beyond('PT429', 'project_id', format('more than %s tasks wait', most.open_tasks), 'open_tasks');
  end if;
end $$;
select grant_to_service('require_task_room(uuid)');

create or replace function require_token_room(p_user_id uuid) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  most limits;
begin
  select * into most from limits;
  if most.tokens <= (
    select count(*) from (select from user_api_tokens where user_id = p_user_id and revoked_at is null limit most.tokens) as t)
  then
    perform refuse_beyond('PT429', 'p_user_id', format('more than %s tokens of one user', most.tokens), 'tokens');
  end if;
end $$;
select grant_to_service('require_token_room(uuid)');

-- Each address gets each notification of its kinds.
create or replace function require_webhook_room() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  most limits;
begin
  select * into most from limits;
  if most.webhooks < (
    select count(*) from (select from notification_endpoints where project_id is not distinct from new.project_id
      limit most.webhooks + 1) as e)
  then
    perform refuse_beyond('PT429', 'project_id', format('more than %s addresses for notifications', most.webhooks), 'webhooks');
  end if;
  return null;
end $$;
select grant_to_service('require_webhook_room()');
create or replace trigger require_webhook_room after insert on notification_endpoints for each row
execute function require_webhook_room();
