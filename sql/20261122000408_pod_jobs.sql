-- Pods that are rented for one job and never work on tasks. Such a pod has a row in workers of origin job, so that it counts in
-- the ceilings and is buried like any other, and a row here that says what it is for and how far it is.

create table if not exists pod_jobs (worker_id text primary key references workers (id) on delete cascade);
alter table pod_jobs
  add column if not exists purpose text not null check (purpose in ('volume-prepare', 'spawn-test')),
  add column if not exists details jsonb not null,
  add column if not exists timeout_sec integer not null check (timeout_sec > 0),
  add column if not exists state text not null default 'running' check (state in ('running', 'done', 'failed')),
  add column if not exists report jsonb not null default '{}',
  add column if not exists reported_at timestamptz,
  add column if not exists ended_at timestamptz;
comment on table pod_jobs is 'One row per pod that was rented for one job: what for, and what the pod reported last.';
comment on column pod_jobs.details is
  'settings: those of the pool that differ for this pod; variables: more variables of its environment. No secrets.';
comment on column pod_jobs.timeout_sec is 'The job fails when this time since its reservation is over.';
comment on column pod_jobs.state is 'running until the pod reports the end, or until it is gone.';
comment on column pod_jobs.report is 'The newest report of the pod, in its own words.';
select secure_table('pod_jobs');

create table if not exists prepared_volumes (volume_id text primary key);
alter table prepared_volumes
  add column if not exists manifest jsonb not null,
  add column if not exists worker_id text,
  add column if not exists prepared_at timestamptz not null default now();
comment on table prepared_volumes is 'What the last preparation of each network volume laid there, as its pod reported it.';
comment on column prepared_volumes.worker_id is 'The pod''s row. It may be deleted by now.';
select secure_table('prepared_volumes');

create table if not exists volume_requests (name text primary key);
alter table volume_requests
  add column if not exists asked_at timestamptz not null default now(),
  add column if not exists volume_id text;
comment on table volume_requests is 
  'One row per volume that was asked for by name, so that a repeated command makes no second one.';
comment on column volume_requests.volume_id is 'Null: the answer is not known, and the volume may exist.';
select secure_table('volume_requests');

create or replace trigger pod_jobs_details_fit before insert or update of details on pod_jobs for each row
when (new.details <> '{}') execute function refuse_unfit_json('details', '1');
create or replace trigger pod_jobs_report_fit before insert or update of report on pod_jobs for each row
when (new.report <> '{}') execute function refuse_unfit_json('report', '1');
create or replace trigger prepared_volumes_manifest_fit before insert or update of manifest on prepared_volumes for each row
when (new.manifest <> '{}') execute function refuse_unfit_json('manifest', '4');
