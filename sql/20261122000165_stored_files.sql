-- The file of a result: whether it is in storage, whose it is, and its address, which is made here of bucket and name. What a
-- caller says of an address is only read for these two.

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

-- A name as storage clients write it in an address.
create or replace function percent_encoded(p_name text) returns text
language sql immutable set search_path = public, pg_temp as $$
  select case when p_name ~ '^[A-Za-z0-9._~/-]*$' then p_name else (
    select string_agg(case when letter ~ '[A-Za-z0-9._~/!$&''()*+,;=:@-]' then letter
      else regexp_replace(upper(encode(convert_to(letter, 'utf8'), 'hex')), '(..)', '%\1', 'g') end, '' order by place)
    from unnest(string_to_array(p_name, null)) with ordinality as l (letter, place)) end
$$;
select grant_to_service('percent_encoded(text)');

-- Where an address of a public object points: {project, bucket, name}, as they are written; null: it is no such address.
create or replace function storage_place(p_location text) returns text[]
language sql immutable set search_path = public, pg_temp as $$
  select regexp_match(p_location,
    '^(https?://[^/?#@\\[:space:]]+(?:/[^?#\\[:space:]]*)?)/storage/v1/object/public/([^/?#]+)/([^?#]+)(?:[?#].*)?$', 'i')
$$;
select grant_to_service('storage_place(text)');

-- The address of an object. p_project: the project's address as the caller wrote it, for a database that does not know its own.
create or replace function file_url(p_bucket text, p_name text, p_project text) returns text
language sql stable security definer set search_path = public, pg_temp as $$
  select coalesce((select files_url from deployment), p_project) || '/storage/v1/object/public/' || percent_encoded(p_bucket)
    || '/' || percent_encoded(p_name)
$$;
select grant_to_service('file_url(text, text, text)');

-- The stored object at a public address: {bucket, name, size_bytes, etag, url}; null: there is none, or it is empty. p_path: its
-- name, if the caller knows it.
create or replace function stored_file(p_location text, p_path text default null) returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  place text[] := storage_place(p_location);
begin
  if place is null or to_regclass('storage.objects') is null then
    return null;
  end if;
  return (
    select jsonb_build_object('bucket', bucket_id, 'name', name, 'size_bytes', (metadata ->> 'size')::bigint,
      'etag', metadata ->> 'eTag', 'url', file_url(bucket_id, name, place[1]))
    from storage.objects
    where bucket_id in (place[2], percent_decoded(place[2])) and name in (place[3], percent_decoded(place[3]))
      and name = coalesce(p_path, name) and (metadata ->> 'size')::bigint > 0
    limit 1);
end $$;
select grant_to_service('stored_file(text, text)');

-- The record of the file in result_data, so that a later look at storage shows whether it is still the same.
create or replace function file_record(p_file jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
  select jsonb_build_object('output_file', p_file - 'url')
$$;
select grant_to_service('file_record(jsonb)');

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

-- The number of the attempt whose mark a file's name carries; null: none. As attemptName in the edge functions.
create or replace function attempt_of_name(p_name text) returns text
language sql immutable set search_path = public, pg_temp as $$
  select substring(regexp_replace(regexp_replace(p_name, '^.*/', ''), '(.)\.[^.]*$', '\1') from '^.*_a([0-9]+)(?:[_.-].*)?$')
$$;
select grant_to_service('attempt_of_name(text)');

-- Refuses another file of an attempt that has stored too many, or of too many bytes. Counted up to the limit and no further.
create or replace function require_file_room(p_task_id text, p_attempt text, p_bytes bigint) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  most limits;
  files bigint;
  bytes bigint;
begin
  if to_regclass('storage.objects') is null then
    return;
  end if;
  select * into most from limits;
  select count(*), coalesce(sum(size), 0) into files, bytes from (
    select (metadata ->> 'size')::bigint as size from storage.objects
    where starts_with(name, p_task_id || '/') and attempt_of_name(name) = p_attempt limit most.lease_files) as own;
  if files >= most.lease_files then
    perform refuse_beyond('PT429', 'task_id', format('more than %s files of one attempt', most.lease_files), 'lease_files');
  end if;
  if bytes + p_bytes > most.lease_file_bytes then
    perform refuse_beyond('PT413', 'task_id', format('more than %s bytes of files of one attempt', most.lease_file_bytes),
      'lease_file_bytes');
  end if;
end $$;
select grant_to_service('require_file_room(text, text, bigint)');

-- Addresses for uploads are valid for hours, so files are counted again when they are recorded.
create or replace function objects_bounded() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_file_room(split_part(new.name, '/', 1), attempt_of_name(new.name),
    coalesce((new.metadata ->> 'size')::bigint, 0));
  return new;
end $$;
select grant_to_service('objects_bounded()');

-- A host may keep its storage to itself, and then its addresses are counted only when they are asked for.
do $$
begin
  if to_regclass('storage.objects') is not null and has_table_privilege('storage.objects', 'trigger') then
    create or replace trigger objects_bounded before insert on storage.objects for each row
    when (new.name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.*_a[0-9]') execute function objects_bounded();
  end if;
end $$;

-- Refuses a file that another attempt has stored.
create or replace function require_own_attempt(p_task_id uuid, p_attempt integer, p_name text) returns void
language plpgsql immutable set search_path = public, pg_temp as $$
begin
  if starts_with(p_name, p_task_id || '/') and attempt_of_name(p_name) <> p_attempt::text then
    raise exception 'task % cannot complete: object % is not a file of this task''s attempt %', p_task_id, one_line(p_name),
      p_attempt using errcode = 'PT409', hint = 'Upload the file again, by a new address of generate-upload-url.';
  end if;
end $$;
select grant_to_service('require_own_attempt(uuid, integer, text)');

create or replace function require_file(p_task_id uuid) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if exists (select from tasks t join task_types k on k.name = t.task_type where t.id = p_task_id and k.needs_file) then
    raise exception 'task % cannot complete without a file', p_task_id
      using errcode = 'PT409', hint = 'Upload its file first, and name it in the completion.';
  end if;
end $$;
select grant_to_service('require_file(uuid)');

-- An address in a result as it is stored: that of an object is made anew, any other text stays as it is.
create or replace function known_url(p_value jsonb) returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  place text[] := storage_place(p_value #>> '{}');
begin
  if jsonb_typeof(p_value) is distinct from 'string' or place is null then
    return p_value;
  end if;
  return to_jsonb(coalesce(stored_file(p_value #>> '{}') ->> 'url',
    file_url(percent_decoded(place[2]), percent_decoded(place[3]), place[1])));
end $$;
select grant_to_service('known_url(jsonb)');

-- The fields of a result that hold addresses.
create or replace function is_url_field(p_key text) returns boolean
language sql immutable set search_path = public, pg_temp as $$ select p_key ~ '(^|_)(url|urls|location)$' $$;
select grant_to_service('is_url_field(text)');

create or replace function with_known_urls(p_result jsonb) returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if jsonb_typeof(p_result) is distinct from 'object' or p_result::text !~ '(url|urls|location)"' then
    return p_result;
  end if;
  return p_result || coalesce((
    select json_object_agg(key, case when jsonb_typeof(value) = 'array'
      then array_to_json(array(select known_url(item) from jsonb_array_elements(value) as item))::jsonb
      else known_url(value) end)
    from jsonb_each(p_result) where is_url_field(key))::jsonb, '{}');
end $$;
select grant_to_service('with_known_urls(jsonb)');

-- Refuses a result with an address that is none of a file of this task: a worker could send readers anywhere.
create or replace function require_own_urls(p_task_id uuid, p_result jsonb) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  given record;
  place text[];
begin
  if jsonb_typeof(p_result) is distinct from 'object' or p_result::text !~ '(url|urls|location)"' then
    return;
  end if;
  for given in
    select key, item from jsonb_each(p_result), jsonb_array_elements(
      case when jsonb_typeof(value) = 'array' then value else jsonb_build_array(value) end) as item
    where is_url_field(key) and item <> 'null'
  loop
    place := storage_place(given.item #>> '{}');
    if place is null or percent_decoded(place[3]) ~ '(^|/)\.{1,2}(/|$)' or not is_own_object(p_task_id, percent_decoded(place[3]))
    then
      raise exception 'task % cannot complete: result_data.%: % is not a file of this task', p_task_id, one_line(given.key),
        one_line(given.item #>> '{}')
        using errcode = 'PT409', detail = 'result_data', hint = 'The address of a stored file of the task is expected.';
    end if;
  end loop;
end $$;
select grant_to_service('require_own_urls(uuid, jsonb)');

-- The output of a task that a caller with the service key completes: {location, file}. An address of this storage must be that of
-- a file; an https address elsewhere is believed, and marked external.
create or replace function trusted_output(p_task_id uuid, p_location text) returns jsonb
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  place text[] := storage_place(p_location);
  file jsonb := stored_file(p_location);
begin
  if file is not null or p_location is null then
    return jsonb_build_object('location', file ->> 'url', 'file', file);
  end if;
  if place is not null and place[1] is not distinct from coalesce((select files_url from deployment), place[1])
    and to_regclass('storage.objects') is not null
  then
    raise exception 'task % cannot complete: % is not in storage', p_task_id, one_line(p_location)
      using errcode = 'PT409', hint = 'Upload the file first.';
  end if;
  if p_location !~* '^https://[^/?#@\\[:space:][:cntrl:]]+([/?#][^[:space:][:cntrl:]]*)?$' then
    raise exception 'task % cannot complete: % is no address of a file', p_task_id, one_line(p_location)
      using errcode = 'PT409', hint = 'The public address of a file in storage is expected, or an https address elsewhere.';
  end if;
  return jsonb_build_object('location', p_location, 'file', '{"external": true}'::jsonb);
end $$;
select grant_to_service('trusted_output(uuid, text)');

-- Refuses a completion whose file is not in storage or lies below the id of another task. p_file: as of stored_file.
create or replace function require_own_file(p_task_id uuid, p_file jsonb, p_path text) returns void
language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if p_file is not null then
    perform require_own_object(p_task_id, p_file ->> 'name');
    return;
  end if;
  if exists (select from storage.buckets b join storage.objects o on o.bucket_id = b.id and o.name = p_path) then
    perform require_own_object(p_task_id, p_path);
  end if;
  raise exception 'task % cannot complete: object % is not in storage', p_task_id, coalesce(one_line(p_path), '(none)')
    using errcode = 'PT409',
      hint = 'Upload the file first; it must have more than 0 bytes, and p_output_location must be its public URL.';
end $$;
select grant_to_service('require_own_file(uuid, jsonb, text)');
