-- The deployment that this database belongs to. Its id is random and made once. It tells deployments apart that share a
-- Temporal namespace or an account of the provider. A copy of the database has the same id: gpu-pool db deployment.

create table if not exists deployment (
  is_only boolean primary key default true check (is_only),
  id uuid not null default gen_random_uuid()
);
comment on table deployment is 'One row: the id of the deployment that this database belongs to.';
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
