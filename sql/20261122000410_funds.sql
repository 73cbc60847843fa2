-- Whether the provider's account has funds (service role only). All pools share the account.

create table if not exists no_funds (
  account text primary key default 'account' check (account = 'account'),
  since timestamptz not null default now(),
  tried_at timestamptz not null default now()
);
comment on table no_funds is 'Has its only row as long as the provider refuses pods for lack of funds.';
comment on column no_funds.tried_at is 'When the last attempt was refused, or when the next one was booked.';
select secure_table('no_funds');

-- The provider refused this worker's pod for lack of funds. That says nothing about the worker, so the breaker does not
-- count its end.
create or replace function note_no_funds(p_worker_id text, p_reason text) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update workers set failed_on = 'funds' where id = p_worker_id and ready_at is null;
  insert into no_funds default values on conflict (account) do update set tried_at = now();
  perform open_alert('no_funds', 'account', null, p_reason);
end $$;
select grant_to_service('note_no_funds(text, text)');

-- A pod was created. A request that was sent before the last refusal proves nothing.
create or replace function note_funds(p_posted_at timestamptz) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from no_funds where tried_at < p_posted_at;
  if found then
    perform close_alert('no_funds', 'account');
  end if;
end $$;
select grant_to_service('note_funds(timestamptz)');
