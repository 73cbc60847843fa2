-- Indexes of the tables of the main job, each with the query that it serves.

-- Serves the observation: the living fleet of one pool.
create index if not exists workers_living on workers (pool) where gone_at is null;
-- Serve the observation: a pool's launches of the last minute, its latest price, and how its boots ended of late.
create index if not exists workers_launched on workers (pool, created_at) where origin = 'pool';
create index if not exists workers_priced on workers (pool, created_at) where origin = 'pool' and cost_per_hr_usd is not null;
create index if not exists workers_ready on workers (pool, ready_at) where origin = 'pool' and ready_at is not null;
create index if not exists workers_failed on workers (pool, failed_at) where origin = 'pool' and failed_at is not null;
-- Serves the day's spend: who was gone when.
create index if not exists workers_gone on workers (gone_at) where origin = 'pool' and gone_at is not null;
-- Serves the check of a worker's credential.
create unique index if not exists workers_token on workers (token_hash) where token_hash is not null;
-- Serves reserve_workers: a repeated decision finds what it booked.
create index if not exists workers_decision on workers (decision_id) where decision_id is not null;
-- Serves claim and count: the head of the line of one pool.
create index if not exists tasks_open on tasks (pool, priority desc, vtime, id) where status = 'Queued' and gate = 'open';
-- Serves admission: a project's last place in line, its open count, its next held task.
create index if not exists tasks_project_line on tasks (project_id, gate, priority desc, vtime, id) where status = 'Queued';
-- Serves completion: what waited for this task.
create index if not exists tasks_blocked on tasks (dependant_on) where status = 'Queued' and gate = 'blocked';
-- Serves the deletion of a task: whoever names it. Only tasks that wait for another are in it.
create index if not exists tasks_dependant on tasks (dependant_on) where dependant_on is not null;
-- Serves limits and the observation: what runs.
create index if not exists tasks_running on tasks (project_id) where status = 'In Progress';
-- A task has at most one open lease, and so has a worker; the latter serves drain and the observation.
create unique index if not exists task_attempts_open_task on task_attempts (task_id) where ended_at is null;
create unique index if not exists task_attempts_open_worker on task_attempts (worker_id) where ended_at is null;
-- Serves the observation: since when a worker is idle.
create index if not exists task_attempts_released on task_attempts (worker_id, ended_at);
-- Serves the journal of one pool, newest first.
create index if not exists pool_events_pool on pool_events (pool, id desc);
-- Serves the end of a sub-task: what its parent still waits for.
create index if not exists tasks_children on tasks (parent_id, status) where parent_id is not null;
