-- Whether the file of a result is in storage.

-- Decodes a percent-encoded address. Returns an address with a wrong encoding unchanged.
create or replace function percent_decoded(p_text text) returns text
language plpgsql immutable set search_path = public, pg_temp as $$
begin
  if position('%' in p_text) = 0 then
    return p_text;
  end if;
  begin
    return (
      select convert_from(string_agg(case when part[1] is null then convert_to(part[2], 'utf8')
        else decode(part[1], 'hex') end, '' order by place), 'utf8')
      from regexp_matches(p_text, '%([0-9a-fA-F]{2})|([^%]+|%)', 'g') with ordinality as piece (part, place));
  exception when character_not_in_repertoire then
    return p_text;
  end;
end $$;
select grant_to_service('percent_decoded(text)');

-- Whether an object lies below the id of this task or of one of its sub-tasks. An orchestrator task may pass on the
-- file of a sub-task.
create or replace function is_own_object(p_task_id uuid, p_name text) returns boolean
language sql stable security definer set search_path = public, pg_temp as $$
  select starts_with(p_name, p_task_id || '/')
    or exists (select from tasks where parent_id = p_task_id and starts_with(p_name, id || '/'))
$$;
select grant_to_service('is_own_object(uuid, text)');

create or replace function require_own_object(p_task_id uuid, p_name text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  folder text := case when position('/' in p_name) > 0 then split_part(p_name, '/', 1) end;
  place text := coalesce('the folder ' || one_line(folder), 'no folder');
begin
  if is_own_object(p_task_id, p_name) then
    return;
  end if;
  if folder ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' and exists (select from tasks where id = folder::uuid) then
    place := 'the folder of task ' || folder;
  end if;
  raise exception 'task % cannot complete: object % is not a file of this task: it lies in %', p_task_id, one_line(p_name), place
    using errcode = 'PT409',
      hint = format('A file of this task lies in the folder %s, or in the folder of one of its sub-tasks.', p_task_id);
end $$;
select grant_to_service('require_own_object(uuid, text)');

-- Whether the file at a public address of this storage exists; null: the text is no such address.
create or replace function is_stored(p_location text) returns boolean
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  part text[] := regexp_match(p_location, '/storage/v1/object/public/([^/?]+)/([^?]+)');
  found_file boolean;
begin
  if part is null or to_regclass('storage.objects') is null then
    return null;
  end if;
  select exists (
    select from storage.objects
    where bucket_id in (part[1], percent_decoded(part[1])) and name in (part[2], percent_decoded(part[2]))
      and (metadata ->> 'size')::bigint > 0) into found_file;
  return found_file;
end $$;
select grant_to_service('is_stored(text)');

create or replace function require_stored(p_task_id uuid, p_location text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if is_stored(p_location) = false then
    raise exception 'task % cannot complete: % is not in storage', p_task_id, one_line(p_location)
      using errcode = 'PT409', hint = 'Upload the file first.';
  end if;
end $$;
select grant_to_service('require_stored(uuid, text)');

-- Refuses a completion whose file is not in storage or lies below the id of another task.
create or replace function require_own_file(p_task_id uuid, p_storage_path text, p_output_location text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  stored boolean;
begin
  -- Not LIKE, because a name may contain its wildcards.
  select exists (
    select from storage.buckets b join storage.objects o on o.bucket_id = b.id and o.name = p_storage_path,
      lateral (select '/storage/v1/object/public/' || b.id || '/' || o.name) as public (path)
    where public.path in (right(p_output_location, length(public.path)),
        right(percent_decoded(p_output_location), length(public.path)))
      and (o.metadata ->> 'size')::bigint > 0
  ) into stored;
  if stored and is_own_object(p_task_id, p_storage_path) then
    return;
  end if;
  if exists (select from storage.buckets b join storage.objects o on o.bucket_id = b.id and o.name = p_storage_path) then
    perform require_own_object(p_task_id, p_storage_path);
  end if;
  raise exception 'task % cannot complete: object % is not in storage', p_task_id, coalesce(one_line(p_storage_path), '(none)')
    using errcode = 'PT409',
      hint = 'Upload the file first; it must have more than 0 bytes, and p_output_location must be its public URL.';
end $$;
select grant_to_service('require_own_file(uuid, text, text)');
