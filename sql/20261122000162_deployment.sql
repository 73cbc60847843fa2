-- The deployment that this database belongs to. Its id is random and made once. It tells deployments apart that share a
-- Temporal namespace or an account of the provider. A copy of the database has the same id: gpu-pool db deployment.

create table if not exists deployment (
  is_only boolean primary key default true check (is_only),
  id uuid not null default gen_random_uuid()
);
alter table deployment add column if not exists files_url text;
comment on table deployment is 'One row: the id of the deployment that this database belongs to.';
comment on column deployment.files_url is
  'The public address of the project, with which the addresses of results begin; null: nobody has said it yet.';
select secure_table('deployment');
insert into deployment default values on conflict do nothing;

-- Without the row, this database's own pods and workflows would be a stranger's.
create or replace function deployment_keep() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
  raise exception 'the row of the table deployment cannot be deleted: pods and workflows are known by its id'
    using errcode = 'PT409', hint = 'gpu-pool db deployment --help tells how this database becomes another deployment.';
end $$;
select grant_to_service('deployment_keep()');
create or replace trigger deployment_keep before delete on deployment for each row execute function deployment_keep();
create or replace trigger deployment_keep_all before truncate on deployment for each statement execute function deployment_keep();

create or replace function deployment_id() returns uuid
language sql stable security definer set search_path = public, pg_temp as $$ select id from deployment $$;
select grant_to_service('deployment_id()');

-- A process that reaches the database only through PostgREST learns from it whether the schema is its own.
create or replace function applied_migrations() returns text[]
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  return (select coalesce(array_agg(name order by id), '{}') from gpu_pool_migrations);
end $$;
select grant_to_service('applied_migrations()');

-- The gateway and the Temporal worker say under which address workers and people reach the project. The last one rules.
create or replace function note_files_url(p_url text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_url is null or p_url !~ '^https?://[^/?#@\\[:space:]]+(/[^?#\\[:space:]]*)?$' then
    perform refuse_argument('p_url', 'an http or https address is expected, without a query');
  end if;
  update deployment set files_url = rtrim(p_url, '/') where files_url is distinct from rtrim(p_url, '/');
end $$;
select grant_to_service('note_files_url(text)');
