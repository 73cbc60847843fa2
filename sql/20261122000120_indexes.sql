-- Indexes of the tables of the main job. Each comment names the query that needs the index.

-- Observation: the living workers of one pool.
create index if not exists workers_living on workers (pool) where gone_at is null;
-- Observation: the launches of a pool in the last minute, its latest price, and its latest successful and failed boots.
create index if not exists workers_launched on workers (pool, created_at) where origin = 'pool';
create index if not exists workers_priced on workers (pool, created_at) where origin = 'pool' and cost_per_hr_usd is not null;
create index if not exists workers_ready on workers (pool, ready_at) where origin = 'pool' and ready_at is not null;
create index if not exists workers_failed on workers (pool, failed_at) where origin = 'pool' and failed_at is not null;
-- Spend of the day: workers that ended today.
create index if not exists workers_gone on workers (gone_at) where origin <> 'external' and gone_at is not null;
-- Check of a worker's credential.
create unique index if not exists workers_token on workers (token_hash) where token_hash is not null;
-- reserve_workers: a repeated decision finds the workers that it reserved.
create index if not exists workers_decision on workers (decision_id) where decision_id is not null;
-- Claim and count: the first task in the line of one pool.
create index if not exists tasks_open on tasks (pool, priority desc, vtime, id) where status = 'Queued' and gate = 'open';
-- Admission: the last place, the number of open tasks and the next held task of a project.
create index if not exists tasks_project_line on tasks (project_id, gate, priority desc, vtime, id) where status = 'Queued';
-- Completion: the tasks that wait for the completed one.
create index if not exists tasks_blocked on tasks (dependant_on) where status = 'Queued' and gate = 'blocked';
-- Deletion of a task: the tasks that depend on it, in whatever status.
create index if not exists tasks_dependant on tasks (dependant_on) where dependant_on is not null;
-- Limits and observation: running tasks.
create index if not exists tasks_running on tasks (project_id) where status = 'In Progress';
-- A worker has at most one open lease. Also the lease of one worker, and all open leases.
create unique index if not exists tasks_held on tasks (worker_id) where lease_token is not null and lease_ended_at is null;
-- Observation: since when a worker is idle, and what it completed. End of a worker's row: the tasks that name it.
create index if not exists tasks_worker on tasks (worker_id, lease_ended_at) where worker_id is not null;
-- Journal of one pool, newest first.
create index if not exists pool_events_pool on pool_events (pool, id desc);
-- End of a sub-task: the sub-tasks that its parent still waits for.
create index if not exists tasks_children on tasks (parent_id, status) where parent_id is not null;
