-- How notifications are delivered.

-- Takes due notifications, each for one minute; the answer includes the address and the key for the signature. It takes
-- at most five of one endpoint, so that a slow endpoint does not delay the others. The answer is one value: of a set the
-- API may cut off rows ("Max rows"), which would then be taken and never sent.
create or replace function outbox_take(p_limit integer) returns jsonb
language sql security definer set search_path = public, pg_temp as $$
  with due as (
    select of_endpoint.id, e.url, e.secret, e.format
    from notification_endpoints e, lateral (
      select id, next_attempt_at from outbox
      where endpoint_id = e.id and delivered_at is null and dead_at is null and next_attempt_at <= now()
      order by next_attempt_at limit 5
      for update skip locked
    ) as of_endpoint
    where e.enabled order by of_endpoint.next_attempt_at limit greatest(0, least(p_limit, 100))
  ), taken as (
    update outbox o set attempts = o.attempts + 1, next_attempt_at = now() + interval '1 minute'
    from due where o.id = due.id
    returning o.id, o.kind, o.payload, o.created_at, o.attempts, o.endpoint_id, due.url, due.secret, due.format
  )
  select coalesce(to_jsonb(array_agg(to_jsonb(taken))), '[]') from taken
$$;
select grant_to_service('outbox_take(integer)');

-- The endpoint that the setting ALERT_WEBHOOK_URL of the Temporal workers makes: one that gets the alerts of all pools.
-- Another address replaces it, and null removes it with what waits for it.
create or replace function set_alert_webhook(p_url text, p_format text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_url is null then
    delete from notification_endpoints where setting = 'ALERT_WEBHOOK_URL';
    return;
  end if;
  insert into notification_endpoints as e (url, format, kinds, setting)
  values (p_url, p_format, '{pool.alert}', 'ALERT_WEBHOOK_URL')
  on conflict (setting) do update set url = excluded.url, format = excluded.format
  where (e.url, e.format) is distinct from (excluded.url, excluded.format);
end $$;
select grant_to_service('set_alert_webhook(text, text)');

create or replace function outbox_delivered(p_id bigint) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  endpoint uuid;
begin
  update outbox set delivered_at = now(), last_error = null where id = p_id and delivered_at is null and dead_at is null
  returning endpoint_id into endpoint;
  if endpoint is null then
    return false;
  end if;
  perform close_alert('webhook_dead', endpoint::text);
  return true;
end $$;
select grant_to_service('outbox_delivered(bigint)');

-- An endpoint that is removed needs nobody any more.
create or replace function close_webhook_alert() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform close_alert('webhook_dead', old.id::text);
  return null;
end $$;
select grant_to_service('close_webhook_alert()');
create or replace trigger notification_endpoints_gone after delete on notification_endpoints
for each row execute function close_webhook_alert();

-- Schedules the next attempt in p_retry_sec. With p_dead there is no further attempt: the journal of the pool records it, and
-- the alert webhook_dead is open until a delivery to the endpoint succeeds. It names the server alone, because the rest of an
-- address may be a secret.
create or replace function outbox_failed(p_id bigint, p_error text, p_retry_sec numeric, p_dead boolean default false)
returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row outbox;
begin
  update outbox set last_error = left(p_error, 500), dead_at = case when p_dead then now() end,
    next_attempt_at = now() + make_interval(secs => p_retry_sec::double precision)
  where id = p_id and delivered_at is null and dead_at is null
  returning * into row;
  if row.dead_at is not null then
    perform journal(coalesce(row.pool, 'main'), 'notification.dead',
      format('%s could not be delivered in %s attempts; last: %s', row.kind, row.attempts, row.last_error), null, null,
      jsonb_build_object('delivery', row.id, 'endpoint_id', row.endpoint_id, 'payload', row.payload));
    perform open_alert('webhook_dead', e.id::text, e.pool, format('notifications to %s die: %s',
      one_line(split_part(split_part(e.url, '/', 3), '@', -1)), one_line(left(row.last_error, 300))))
    from notification_endpoints e where e.id = row.endpoint_id;
  end if;
  return row.id is not null;
end $$;
select grant_to_service('outbox_failed(bigint, text, numeric, boolean)');

-- Deletes notifications that were delivered or given up long ago, at most 20,000 a call.
create or replace function outbox_clean(p_retention_hours integer default 168) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  gone integer;
begin
  if p_retention_hours is null or p_retention_hours < 1 then
    raise exception 'p_retention_hours must be at least 1, got %', coalesce(p_retention_hours::text, 'nothing')
      using errcode = 'PT400';
  end if;
  delete from outbox where id in (
    select id from outbox where coalesce(delivered_at, dead_at) < now() - make_interval(hours => p_retention_hours)
    order by coalesce(delivered_at, dead_at) limit 20000);
  get diagnostics gone = row_count;
  return jsonb_build_object('deleted', gone, 'more', gone = 20000);
end $$;
select grant_to_service('outbox_clean(integer)');
