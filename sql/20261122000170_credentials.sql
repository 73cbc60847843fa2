-- How a caller is known: by its database role, its personal access token, its worker token, or, for a heartbeat alone,
-- its worker's heartbeat secret.

create table if not exists user_api_tokens (id uuid primary key default gen_random_uuid());
alter table user_api_tokens
  add column if not exists user_id uuid,
  add column if not exists token_hash text,
  add column if not exists label text,
  add column if not exists created_at timestamptz not null default now(),
  add column if not exists last_used_at timestamptz,
  add column if not exists revoked_at timestamptz;
-- An adopted table may contain the tokens themselves. They stay valid, and no new one is stored.
do $$
begin
  if exists (select from information_schema.columns
    where table_schema = 'public' and table_name = 'user_api_tokens' and column_name = 'token')
  then
    execute $q$update user_api_tokens set token_hash = encode(sha256(convert_to(token::text, 'utf8')), 'hex')
      where token_hash is null and token is not null$q$;
    execute 'alter table user_api_tokens alter column token drop not null';
  end if;
end $$;
comment on table user_api_tokens is
  'Personal access tokens. A token gives access to the projects of its user and to nothing else.';
comment on column user_api_tokens.token_hash is 'SHA-256, hexadecimal. The token itself is shown once and never stored.';
comment on column user_api_tokens.last_used_at is
  'Accurate to five minutes, so that a busy token does not write its row at every request.';
select secure_table('user_api_tokens');
-- Every request with a token.
create unique index if not exists user_api_tokens_hash on user_api_tokens (token_hash);
-- List of a user's own tokens.
create index if not exists user_api_tokens_user on user_api_tokens (user_id);

alter table workers add column if not exists user_id uuid;
comment on column workers.user_id is
  'The user whose own machine this is, if it claims with that user''s token; null: a worker of the pool or of an operator.';
create or replace trigger workers_reserved before insert or update of pool, user_id on workers for each row
when (is_reserved_pool(new.pool) and new.user_id is null)
execute function refuse_reserved_pool('pool', 'personal');
-- Leases that a user's machines hold.
create index if not exists workers_user on workers (user_id) where user_id is not null;

-- A worker of the old protocol sends its heartbeats with no header that could carry its token. The secret stands in the
-- path of its URL, and paths get into access logs, so it opens nothing but the heartbeat.
alter table workers add column if not exists beat_hash text;
comment on column workers.beat_hash is
  'SHA-256 of the secret with which this worker may send heartbeats and nothing else. Dead as soon as token_hash is null.';

-- The user of this request, by JWT or personal access token; null: there is none.
create or replace function request_user() returns uuid
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  caller text := coalesce(nullif(current_setting('role', true), ''), 'none');
  claims jsonb := nullif(current_setting('request.jwt.claims', true), '')::jsonb;
  given text := nullif(current_setting('request.headers', true), '')::jsonb ->> 'x-api-token';
begin
  if caller = 'authenticated' then
    return nullif(claims ->> 'sub', '')::uuid;
  end if;
  return (select user_id from user_api_tokens
    where token_hash = encode(sha256(convert_to(given, 'utf8')), 'hex') and revoked_at is null and caller = 'anon');
end $$;
select grant_to_service('request_user()');

-- The living worker whose token this request carries; null: none.
create or replace function request_worker() returns text
language sql stable security definer set search_path = public, pg_temp as $$
  select id from workers
  where token_hash = encode(sha256(convert_to(
      nullif(current_setting('request.headers', true), '')::jsonb ->> 'x-worker-token', 'utf8')), 'hex')
    and status in ('spawning', 'active', 'terminating') and gone_at is null and token_expires_at > now()
$$;
select grant_to_service('request_worker()');

-- Refuses the call unless the caller is the service role, the database's owner, this worker with a valid token, or the
-- user who owns this machine.
create or replace function require_worker(p_worker_id text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  caller text := coalesce(nullif(current_setting('role', true), ''), 'none');
  headers jsonb;
begin
  if caller = 'service_role' or caller = 'none' then
    return;
  end if;
  headers := nullif(current_setting('request.headers', true), '')::jsonb;
  if exists (
    select from workers
    where token_hash = encode(sha256(convert_to(headers ->> 'x-worker-token', 'utf8')), 'hex')
      and id = p_worker_id and status in ('spawning', 'active', 'terminating')
      and gone_at is null and token_expires_at > now()
  ) then
    return;
  end if;
  if current_setting('request.path', true) like '%/rpc/func_worker_heartbeat_with_logs' and exists (
    select from workers
    where id = p_worker_id and beat_hash = encode(sha256(convert_to(headers ->> 'x-beat-secret', 'utf8')), 'hex')
      and status in ('spawning', 'active', 'terminating') and gone_at is null
      and token_hash is not null and token_expires_at > now()
  ) then
    return;
  end if;
  if exists (select from workers
    where id = p_worker_id and user_id = request_user() and status in ('active', 'terminating') and gone_at is null)
  then
    return;
  end if;
  raise exception 'credential refused for worker %', coalesce(one_line(p_worker_id), '(none)')
    using errcode = 'PT401', hint = 'The token is missing, belongs to another worker, has expired, or its worker has ended.';
end $$;
select grant_to_service('require_worker(text)');

-- The one rule for the ids of workers, wherever a caller names one. An adopted row keeps the id that it has.
create or replace function require_worker_id(p_argument text, p_worker_id text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if (p_worker_id is null or p_worker_id !~ '^[A-Za-z0-9_.:-]{1,128}$')
    and not exists (select from workers where id = p_worker_id)
  then
    raise exception '%: worker id % cannot be used: it must be 1 to 128 letters, digits or the signs _ . : -',
      one_line(p_argument), coalesce(one_line(p_worker_id), '(none)') using errcode = 'PT400', detail = one_line(p_argument);
  end if;
end $$;
select grant_to_service('require_worker_id(text, text)');
