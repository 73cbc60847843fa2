-- Operators' signals, each of which counts once, however often it is given (service role only).

alter table pools
  add column if not exists started_by text,
  add column if not exists signals_run text,
  add column if not exists signals_written bigint not null default 0;
comment on column pools.started_by is
  'The first run of the workflow since the pool''s last start. A reset of it is no new start.';
comment on column pools.signals_run is
  'The run of the workflow that wrote signals last. Runs before and after a reset count signals differently.';
comment on column pools.signals_written is 'Place of the last signal that is written. Signals up to it have taken effect.';

-- Writes a batch of signals of one run, each once: those up to signals_written have taken effect before. p_batch: messages
-- (place and the arguments of pool_set_intent), ignored (place, kind, reason), folded (counts by kind), last (place of the
-- last). Answers null; or signals_run and signals_written, with nothing written, if another run wrote last, because runs
-- before and after a reset count differently.
create or replace function pool_write_signals(p_pool text, p_run text, p_batch jsonb) returns jsonb
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  row pools;
  entry jsonb;
  kinds text;
begin
  select * into row from pools where name = p_pool for no key update;
  if not found then
    raise exception 'pool % does not exist', one_line(p_pool) using errcode = 'PT404', hint = 'See gpu-pool pool list.';
  end if;
  if row.signals_run <> p_run then
    return jsonb_build_object('run', row.signals_run, 'written', row.signals_written);
  end if;
  for entry in
    select value from jsonb_array_elements((p_batch -> 'messages') || (p_batch -> 'ignored'))
    where (value ->> 'place')::bigint > row.signals_written order by (value ->> 'place')::bigint
  loop
    if entry ? 'reason' then
      perform journal(p_pool, 'message.ignored', (entry ->> 'kind') || ': ' || (entry ->> 'reason'));
    else
      perform pool_set_intent(p_pool, entry ->> 'p_kind', entry ->> 'p_mode', (entry ->> 'p_hold')::integer,
        (entry ->> 'p_hold_sec')::integer, coalesce((entry ->> 'p_release_hold')::boolean, false));
    end if;
  end loop;
  select string_agg(value || ' ' || key, ', ' order by key) into kinds from jsonb_each_text(p_batch -> 'folded');
  if kinds is not null and (p_batch ->> 'last')::bigint > row.signals_written then
    perform journal(p_pool, 'message.folded',
      'too many at once; written by their last and counted here: ' || kinds, null, null, p_batch -> 'folded');
  end if;
  update pools set signals_run = p_run, signals_written = greatest(signals_written, (p_batch ->> 'last')::bigint)
  where name = p_pool;
  return null;
end $$;
select grant_to_service('pool_write_signals(text, text, jsonb)');

-- From now on signals are counted as the run p_run counts them, of which p_written have taken effect. p_reset: what is to
-- be journaled about the reset that this follows. Only if the run p_before wrote last.
create or replace function pool_count_signals(
  p_pool text, p_before text, p_run text, p_written bigint, p_reset text default null)
returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update pools set signals_run = p_run, signals_written = p_written where name = p_pool and signals_run = p_before;
  if found and p_reset is not null then
    perform journal(p_pool, 'pool.reset', p_reset);
  end if;
end $$;
select grant_to_service('pool_count_signals(text, text, text, bigint, text)');
