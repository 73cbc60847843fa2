-- The janitor reads and writes through these functions: it compares the provider, the database and Temporal (service role only).

-- A deleted row would leave its pod running: nothing else knows that the pod must be deleted.
create or replace function workers_keep() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
  if tg_op = 'TRUNCATE' then
    perform from workers where gone_at is null and origin <> 'external';
    if not found then
      return null;
    end if;
    raise exception 'workers cannot be emptied: some pods of its rows may still run and cost money'
      using errcode = 'PT409', hint = 'Shut the pools down first: gpu-pool shutdown --wait.';
  end if;
  raise exception 'worker % cannot be deleted: its pod may still run and cost money', one_line(old.id)
    using errcode = 'PT409', hint = format(
      'End it first: gpu-pool worker terminate %s --pool %s. Its row may be deleted once gone_at is set.', old.id, old.pool);
end $$;
select grant_to_service('workers_keep()');
create or replace trigger workers_keep before delete on workers for each row
when (old.gone_at is null and old.origin <> 'external')
execute function workers_keep();
create or replace trigger workers_keep_all before truncate on workers execute function workers_keep();

-- The workflow of a pool that runs needs its row.
create or replace function pools_keep() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
  raise exception 'pool % cannot be deleted: it should run', one_line(old.name)
    using errcode = 'PT409', hint = format('Shut it down first: gpu-pool shutdown --wait --pool %s.', old.name);
end $$;
select grant_to_service('pools_keep()');
create or replace trigger pools_keep before delete on pools for each row
when (old.should_run)
execute function pools_keep();

-- Nothing would close the alerts of a pool without a row.
create or replace function pools_deleted() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform close_alert(kind, subject) from alerts where pool = old.name and closed_at is null;
  return null;
end $$;
select grant_to_service('pools_deleted()');
create or replace trigger pools_deleted after delete on pools for each row execute function pools_deleted();

create table if not exists janitor_sightings (
  subject text primary key,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  acted_at timestamptz
);
comment on table janitor_sightings is
  'What the janitor saw that should not be: it acts on a second sighting only. Rows go an hour after the last sighting.';
comment on column janitor_sightings.subject is
  'A pod''s id, workflow/<worker id>, twin/<pod id> or pool/<name>.';
comment on column janitor_sightings.acted_at is
  'When the janitor ended it. JANITOR_MAX_DELETIONS limits how many it ends within five minutes.';
select secure_table('janitor_sightings');

-- The database's side of the comparison: the pools, the sightings so far, how many orphans were ended within five
-- minutes, and the rows of these names; with p_living also every row whose pod may live.
create or replace function janitor_stock(p_names text[], p_living boolean) returns jsonb
language sql stable security definer set search_path = public, pg_temp as $$
  select jsonb_build_object(
    'now_ms', to_ms(clock_timestamp()),
    'ended_lately', (select count(*) from janitor_sightings where acted_at > now() - interval '5 minutes'),
    'pools', (select coalesce(jsonb_agg(jsonb_build_object('name', p.name, 'should_run', p.should_run, 'mode', p.mode,
      'observed_ms', to_ms(p.observed_at)) order by p.name), '[]') from pools p),
    'sightings', (select coalesce(jsonb_agg(jsonb_build_object('subject', s.subject, 'first_ms', to_ms(s.first_seen_at))
      order by s.subject), '[]') from janitor_sightings s),
    'rows', (select coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'pool', w.pool, 'status', w.status, 'origin', w.origin,
      'pod_id', w.pod_id, 'post_state', w.post_state, 'gone', w.gone_at is not null) order by w.id), '[]')
      from workers w where w.id = any (p_names) or p_living and w.gone_at is null and w.origin <> 'external'))
$$;
select grant_to_service('janitor_stock(text[], boolean)');

-- Remembers what was seen, and forgets what is over or was not seen for an hour.
create or replace function janitor_sight(p_seen text[], p_over text[]) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into janitor_sightings (subject) select distinct unnest(p_seen) order by 1
  on conflict (subject) do update set last_seen_at = now();
  delete from janitor_sightings where subject = any (p_over) or last_seen_at < now() - interval '1 hour';
end $$;
select grant_to_service('janitor_sight(text[], text[])');

-- Gives an orphan to the burial: a worker whose row is missing or has ended, although its pod or its workflow was seen.
-- The row is open again afterwards, so that the pod counts in the caps until it is seen gone, and its cost is booked.
-- Answers ordered, living (the row lives: its own workflow takes care) or cap_reached.
create or replace function janitor_bury(
  p_worker_id text, p_pool text, p_subject text, p_pod_id text, p_cost_per_hr_usd numeric, p_created_at timestamptz,
  p_reason text, p_max integer)
returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  worker workers;
  begun timestamptz;
begin
  -- One caller at a time, so that the limit holds over all processes.
  perform pg_advisory_xact_lock(hashtextextended('gpu-pool: deletions by the janitor', 0));
  select * into worker from workers where id = p_worker_id for update;
  if worker.id is not null and (worker.gone_at is null or worker.origin = 'external') then
    return 'living';
  end if;
  if p_max <= (select count(*) from janitor_sightings
    where acted_at > now() - interval '5 minutes' and subject <> p_subject)
  then
    return 'cap_reached';
  end if;
  -- A pod is no older than the request for it, and none begins in the future. Of unknown age, it began when it was seen.
  select least(now(), coalesce(p_created_at, worker.posted_at, first_seen_at)) into begun
  from janitor_sightings where subject = p_subject;
  begun := greatest(coalesce(begun, now()), worker.posted_at);
  if worker.id is null then
    insert into workers (id, pool, status, status_reason, terminating_at, post_state, posted_at, pod_id, cost_per_hr_usd,
      pod_created_at, boot_stage, created_at)
    values (p_worker_id, p_pool, 'error', p_reason, now(), case when p_pod_id is null then 'burned' else 'posted' end, now(),
      p_pod_id, p_cost_per_hr_usd, case when p_pod_id is not null then begun end, 'created', begun);
  else
    update workers set gone_at = null, deleted_at = null,
      status = case when status = 'terminated' then 'terminating' else status end,
      -- Another pod's cost stays; worker_gone adds this pod's.
      cost_usd = case when pod_id <> p_pod_id then cost_usd end,
      pod_created_at = case when pod_id = p_pod_id then coalesce(pod_created_at, begun) else begun end,
      cost_per_hr_usd = coalesce(p_cost_per_hr_usd, case when pod_id = p_pod_id then cost_per_hr_usd end),
      pod_id = p_pod_id
    where id = p_worker_id;
  end if;
  update janitor_sightings set acted_at = now() where subject = p_subject;
  perform journal(p_pool, 'worker.orphan', p_reason, p_worker_id, null,
    jsonb_strip_nulls(jsonb_build_object('pod_id', p_pod_id, 'cost_per_hr_usd', p_cost_per_hr_usd)));
  return 'ordered';
end $$;
select grant_to_service('janitor_bury(text, text, text, text, numeric, timestamptz, text, integer)');
