-- The callers of PostgREST and the edge functions: the service key, a user's JWT, a personal access token (header
-- x-api-token) or a worker's token (x-worker-token). Every api_* function checks its caller itself.

-- The rows that a user may see.
create index if not exists projects_user on projects (user_id) where user_id is not null;

-- The caller: {kind, user_id, worker_id}, with kind service, user, pat, worker or anon.
create or replace function api_caller() returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller text := coalesce(nullif(current_setting('role', true), ''), 'none');
  headers jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
  caller_user uuid := request_user();
  holder text;
begin
  if caller in ('service_role', 'none') then
    return jsonb_build_object('kind', 'service', 'user_id', null, 'worker_id', null);
  elsif caller = 'authenticated' and caller_user is not null then
    return jsonb_build_object('kind', 'user', 'user_id', caller_user, 'worker_id', null);
  elsif caller_user is not null then
    if current_setting('transaction_read_only') = 'off' then
      update user_api_tokens set last_used_at = now()
      where token_hash = encode(sha256(convert_to(headers ->> 'x-api-token', 'utf8')), 'hex')
        and (last_used_at is null or last_used_at < now() - interval '5 minutes');
    end if;
    return jsonb_build_object('kind', 'pat', 'user_id', caller_user, 'worker_id', null);
  end if;
  holder := request_worker();
  return jsonb_build_object('kind', case when holder is null then 'anon' else 'worker' end,
    'user_id', null, 'worker_id', holder);
end $$;
select grant_to_everyone('api_caller()');

-- Refuses a call with an HTTP status of PostgREST. The details contain the name of the field at fault.
create or replace function api_refuse(p_code text, p_field text, p_message text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  raise exception '%', one_line(p_message) using errcode = p_code, detail = coalesce(one_line(p_field), '');
end $$;
select grant_to_service('api_refuse(text, text, text)');

create or replace function api_known_caller() returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_caller();
begin
  if caller ->> 'kind' = 'anon' then
    raise exception 'the caller is unknown' using errcode = 'PT401',
      hint = 'Send the service key, a user''s JWT, a personal access token or a worker''s token as bearer; yours may have ended.';
  end if;
  return caller;
end $$;
select grant_to_service('api_known_caller()');

-- Whether this caller may use tasks of this project. A worker may use those of the project whose task it holds.
create or replace function api_may_use(p_caller jsonb, p_project uuid) returns boolean
language sql stable security definer set search_path = public, pg_temp as $$
  select case p_caller ->> 'kind'
    when 'service' then true
    when 'worker' then exists (
      select from tasks
      where worker_id = p_caller ->> 'worker_id' and lease_token is not null and lease_ended_at is null
        and project_id = p_project)
    else exists (select from projects where id = p_project and user_id = (p_caller ->> 'user_id')::uuid) end
$$;
select grant_to_service('api_may_use(jsonb, uuid)');

-- Creates a personal access token. Only this answer contains it. The service key creates one for p_user_id.
create or replace function api_create_token(p_label text, p_user_id uuid default null) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
  new_token text := 'gpp_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
  owner uuid := case caller ->> 'kind' when 'service' then p_user_id when 'user' then (caller ->> 'user_id')::uuid end;
  made uuid;
begin
  if caller ->> 'kind' not in ('service', 'user') then
    perform api_refuse('PT403', null, 'tokens are made by a signed-in user or the service key');
  end if;
  if owner is null or owner <> coalesce(p_user_id, owner) then
    perform api_refuse('PT403', 'p_user_id', 'p_user_id must name the user: with the service key any, otherwise yourself');
  end if;
  if caller ->> 'kind' = 'user' then
    perform require_token_room(owner);
  end if;
  insert into user_api_tokens (user_id, token_hash, label)
  values (owner, encode(sha256(convert_to(new_token, 'utf8')), 'hex'), left(p_label, 100))
  returning id into made;
  return jsonb_build_object('id', made, 'user_id', owner, 'label', left(p_label, 100), 'token', new_token);
end $$;
select grant_to_everyone('api_create_token(text, uuid)');

-- A personal access token revokes itself alone: one that was stolen must not shut out its user.
create or replace function api_revoke_token(p_id uuid) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  caller jsonb := api_known_caller();
  given text := nullif(current_setting('request.headers', true), '')::jsonb ->> 'x-api-token';
begin
  if caller ->> 'kind' not in ('service', 'user') and not exists (
    select from user_api_tokens where id = p_id and token_hash = encode(sha256(convert_to(given, 'utf8')), 'hex'))
  then
    perform api_refuse('PT403', 'p_id', 'other tokens are revoked by a signed-in user or the service key');
  end if;
  update user_api_tokens set revoked_at = coalesce(revoked_at, now())
  where id = p_id and (caller ->> 'kind' = 'service' or user_id = (caller ->> 'user_id')::uuid);
  if not found then
    perform api_refuse('PT404', 'p_id', format('there is no token %s', p_id));
  end if;
  return jsonb_build_object('id', p_id, 'revoked', true);
end $$;
select grant_to_everyone('api_revoke_token(uuid)');

-- Signed-in users may also read their own rows from the tables. They write only through the functions above.
grant select on projects, tasks to authenticated;
grant select (id, user_id, label, created_at, last_used_at, revoked_at) on user_api_tokens to authenticated;

-- An estimate of rows (count=planned) comes from statistics of everybody's rows. Bounds that hold for every row, and that the
-- planner cannot see, each divide it by 200. So it is 1 whatever the table holds.
drop policy if exists projects_own on projects;
create policy projects_own on projects for select to authenticated
  using (user_id = (select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid)
    and id between (select '00000000-0000-0000-0000-000000000000'::uuid)
      and (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid));
drop policy if exists tasks_own on tasks;
create policy tasks_own on tasks for select to authenticated
  using (project_id in (select id from projects
    where user_id = (select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid))
    and leases between (select 0) and (select 2147483647) and attempts between (select -2147483648) and (select 2147483647)
    and priority between (select -2147483648) and (select 2147483647)
    and id between (select '00000000-0000-0000-0000-000000000000'::uuid)
      and (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid));
drop policy if exists user_api_tokens_own on user_api_tokens;
create policy user_api_tokens_own on user_api_tokens for select to authenticated
  using (user_id = (select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid));

-- Policies add up. A policy of an adopted table would still open rows, now under the rights granted above.
do $$
declare
  old record;
begin
  for old in
    select tablename, policyname from pg_policies
    where schemaname = 'public' and tablename in (
      'pools', 'projects', 'task_types', 'workers', 'tasks', 'ended_attempts', 'pool_events', 'system_logs',
      'worker_diagnostics', 'user_api_tokens')
      and policyname not in ('projects_own', 'tasks_own', 'user_api_tokens_own')
    order by tablename, policyname
  loop
    execute format('drop policy %I on %I', old.policyname, old.tablename);
    raise notice 'policy "%" on % was dropped: it could open rows under the rights that are granted here',
      old.policyname, old.tablename;
  end loop;
end $$;
