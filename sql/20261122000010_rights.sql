-- Each function, table and view gets its rights by one call directly under its definition. Each call revokes first,
-- because hosted projects may grant everything on new objects to anon and authenticated. An object without a call is
-- closed in our own stack, and test/stack/security/catalog.test.ts fails where it is open elsewhere.

-- Grants the function to the service role alone. Its comment marks it as ours: a function with the same name and without
-- the mark is an older orchestrator's, and a call might reach it, so it is closed.
create or replace function grant_to_service(p_function regprocedure) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
  mark constant text := 'Function of gpu-pool.';
  old regprocedure;
begin
  execute format('revoke all on function %s from public, anon, authenticated, service_role', p_function);
  execute format('grant execute on function %s to service_role', p_function);
  execute format('comment on function %s is %L', p_function, mark);
  for old in
    select o.oid::regprocedure
    from pg_proc own join pg_proc o on o.proname = own.proname and o.pronamespace = own.pronamespace
    where own.oid = p_function and obj_description(o.oid, 'pg_proc') is distinct from mark
      and pg_has_role(o.proowner, 'usage')
      and (has_function_privilege('anon', o.oid, 'execute') or has_function_privilege('authenticated', o.oid, 'execute'))
    order by 1
  loop
    execute format('revoke all on routine %s from public, anon, authenticated', old);
    raise notice 'function % was closed to public, anon and authenticated: it has the name of one of ours', old;
  end loop;
end $$;

-- Grants the function to every caller, also with the public key. Such a function checks its caller's credential itself.
create or replace function grant_to_everyone(p_function regprocedure) returns void
language plpgsql set search_path = public, pg_temp as $$
begin
  perform grant_to_service(p_function);
  execute format('grant execute on function %s to anon, authenticated', p_function);
end $$;

-- Grants reading and writing the table to the service role alone.
create or replace function secure_table(p_table regclass) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
  counter regclass;
begin
  execute format('alter table %s enable row level security', p_table);
  execute format('revoke all on table %s from public, anon, authenticated, service_role', p_table);
  execute format('grant select, insert, update, delete on table %s to service_role', p_table);
  for counter in
    select s.oid from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = p_table
  loop
    execute format('revoke all on sequence %s from public, anon, authenticated, service_role', counter);
    execute format('grant usage on sequence %s to service_role', counter);
  end loop;
end $$;

-- PostgREST takes Postgres' own refusal of a write to a view for a fault of the server.
create or replace function refuse_view_write() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
  raise exception '% is a view: it is only read', tg_table_name using errcode = 'PT405',
    hint = 'Write to the tables that it shows.';
end $$;
select grant_to_service('refuse_view_write()');

-- Grants reading the view to the service role alone, and refuses writes.
create or replace function secure_view(p_view regclass) returns void
language plpgsql set search_path = public, pg_temp as $$
begin
  execute format('revoke all on table %s from public, anon, authenticated, service_role', p_view);
  execute format('grant select on table %s to service_role', p_view);
  execute format('create or replace trigger refuse_write instead of insert or update or delete on %s for each row '
    'execute function refuse_view_write()', p_view);
end $$;

-- Only migrations call these functions; no role may.
revoke all on function grant_to_service(regprocedure), grant_to_everyone(regprocedure), secure_table(regclass),
  secure_view(regclass) from public, anon, authenticated, service_role;

-- node-pg-migrate keeps its record in the same schema. Another migration tool keeps none there.
do $$
begin
  if to_regclass('public.gpu_pool_migrations') is not null then
    perform secure_table('gpu_pool_migrations');
    revoke all on gpu_pool_migrations from service_role;
    revoke all on sequence gpu_pool_migrations_id_seq from service_role;
  end if;
end $$;
