-- The journal of the pools.

create table if not exists pool_events (
  id bigint generated always as identity primary key,
  pool text not null,
  at timestamptz not null default now(),
  kind text not null,
  reason text not null,
  worker_id text,
  task_id uuid,
  decision_id text,
  details jsonb not null default '{}'
);
comment on table pool_events is 'The journal: every decision with its inputs and reasons, and every outcome.';
select secure_table('pool_events');
