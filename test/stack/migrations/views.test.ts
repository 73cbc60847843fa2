import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Queue } from "../../kit/queue.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

const VIEWS = [
  "active_workers_health",
  "normalized_task_status",
  "orchestrator_status",
  "recent_task_activity",
  "task_costs",
  "task_queue_analysis",
  "v_recent_errors",
  "v_worker_log_activity",
  "worker_costs",
  "worker_performance",
];

type Row = Readonly<Record<string, unknown>>;

describe("the views", () => {
  let api: QueueApi;
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    api = await openQueueApi();
    queue = api.queue;
  });
  afterAll(() => api?.close());

  const only = async (view: string, column: string, value: string): Promise<Row> => {
    const { data, error } = await api.client(api.keys.serviceRoleKey).from(view).select("*").eq(column, value);
    expect(error).toBeNull();
    expect(data).toHaveLength(1);
    return data![0] as Row;
  };
  /** An attempt that was held between two times, given in seconds before now. */
  const held = (worker: string, task: string, fromSec: number, toSec: number, cause = "completed", attempt = 1) =>
    cause === "completed"
      ? queue.rows(
          `update tasks set worker_id = $1, leases = $3, lease_token = gen_random_uuid(),
             leased_at = now() - $4 * interval '1 s', lease_ended_at = now() - $5 * interval '1 s' where id = $2`,
          [worker, task, attempt, fromSec, toSec],
        )
      : queue.rows(
          `insert into ended_attempts (worker_id, task_id, attempt, lease_token, started_at, ended_at, cause)
           values ($1, $2, $3, gen_random_uuid(), now() - $4 * interval '1 s', now() - $5 * interval '1 s', $6)`,
          [worker, task, attempt, fromSec, toSec, cause],
        );

  it.each(VIEWS)("include %s, only for the service role, with a comment", async (view) => {
    const { error } = await api.client(api.keys.serviceRoleKey).from(view).select("*").limit(1);
    expect(error).toBeNull();
    const refused = await api.client(api.keys.anonKey).from(view).select("*");
    expect(refused).toMatchObject({ status: 401, error: { code: "42501" } });
    expect(await queue.one(`select obj_description('${view}'::regclass) is not null as described`)).toEqual({
      described: true,
    });
  });

  it("task_queue_analysis and normalized_task_status show what a task waits for", async () => {
    pool = await queue.newPool();
    const paused = await queue.newProject({ paused: true });
    const open = await queue.addTask(pool, { created_at: new Date(Date.now() - 90_000) });
    const held = await queue.addTask(pool, { project_id: paused });
    const blocked = await queue.addTask(pool, { dependant_on: open, priority: -1 });
    const parent = await queue.addTask(pool, { priority: 2 });
    const worker = await queue.newWorker(pool);
    const lease = await queue.lease(worker);
    const child = await queue.addTask(pool, { priority: 1, params: { orchestrator_task_id_ref: parent } });
    await queue.call("delegate_task", { p_task_id: parent, p_lease_token: lease.lease_token });
    expect((await queue.lease(worker)).task_id).toBe(child);
    const depth = await only("task_queue_analysis", "pool", pool);
    expect(depth).toMatchObject({ claimable: 1, held: 1, blocked: 1, running: 1, delegated: 1 });
    expect(depth["oldest_queued_sec"]).toBeGreaterThanOrEqual(90);
    const waitOf = async (id: string) => {
      const { normalized_status, detail } = await only("normalized_task_status", "task_id", id);
      return [normalized_status, detail];
    };
    expect(await waitOf(open)).toEqual(["queued", "waits for a worker"]);
    expect(await waitOf(held)).toEqual(["queued", "waits for its project's limit or pause"]);
    expect(await waitOf(blocked)).toEqual(["queued", `waits for task ${open}`]);
    expect(await waitOf(parent)).toEqual(["in_progress", "waits for its sub-tasks"]);
    expect(await waitOf(child)).toEqual(["in_progress", `held by worker ${worker}`]);
    await queue.rows("update tasks set status = 'Failed', error_message = 'no prompt' where id = $1", [open]);
    expect(await waitOf(open)).toEqual(["failed", "no prompt"]);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [held]);
    expect(await waitOf(held)).toEqual(["cancelled", null]);
  });

  it("orchestrator_status has one row a pool, with its intent, queue and fleet", async () => {
    pool = await queue.newPool();
    await queue.rows("update pools set mode = 'paused', hold = 3 where name = $1", [pool]);
    await queue.newWorkers(pool, 2, { cost_per_hr_usd: 0.5, pod_id: "pod" });
    const [busy] = await queue.newWorkers(pool, 1);
    await queue.newWorker(pool, { status: "spawning", cost_per_hr_usd: 9 });
    await queue.newWorker(pool, { status: "terminating" });
    await queue.newWorker(pool, { status: "error" });
    await queue.newWorker(pool, { status: "terminated", gone_at: new Date() });
    await queue.addTasks(pool, 3);
    await queue.lease(busy!);
    expect(await only("orchestrator_status", "pool", pool)).toMatchObject({
      mode: "paused",
      hold: 3,
      queued: 2,
      waiting: 0,
      running: 1,
      spawning: 1,
      active: 3,
      busy: 1,
      terminating: 1,
      error: 1,
      cost_per_hr_usd: 1,
    });
    const empty = await queue.newPool();
    expect(await only("orchestrator_status", "pool", empty)).toMatchObject({
      queued: 0,
      active: 0,
      cost_per_hr_usd: 0,
    });
  });

  it("active_workers_health shows heartbeat age, memory, task and idle time, only of living workers", async () => {
    pool = await queue.newPool();
    const ago = (sec: number) => new Date(Date.now() - sec * 1000);
    const beat = { last_heartbeat: ago(40), vram_total_mb: 24_000, vram_used_mb: 6_000 };
    const idle = await queue.newWorker(pool, { ...beat, ready_at: ago(100) });
    const busy = await queue.newWorker(pool, { metadata: { reported_status: "crashed" } });
    await queue.newWorker(pool, { status: "terminated", gone_at: new Date() });
    const task = await queue.addTask(pool);
    await queue.lease(busy);
    const row = await only("active_workers_health", "worker_id", idle);
    expect(row).toMatchObject({ vram_used_percent: 25, current_task_id: null });
    expect(row["heartbeat_age_sec"]).toBeGreaterThanOrEqual(40);
    expect(row["idle_sec"]).toBeGreaterThanOrEqual(100);
    expect(await only("active_workers_health", "worker_id", busy)).toMatchObject({
      current_task_id: task,
      idle_sec: null,
      heartbeat_age_sec: null,
      reported_status: "crashed",
    });
    expect(await queue.rows("select 1 from active_workers_health where pool = $1", [pool])).toHaveLength(2);
  });

  it("recent_task_activity has waiting and processing times of tasks that changed within a day", async () => {
    pool = await queue.newPool();
    const [task, old] = await queue.addTasks(pool, 2, { created_at: new Date(Date.now() - 300_000) });
    await queue.rows(
      `update tasks set status = 'Complete', generation_started_at = created_at + interval '100 s',
       generation_processed_at = created_at + interval '245.5 s' where id = $1`,
      [task],
    );
    await queue.rows("alter table tasks disable trigger tasks_guard");
    await queue.rows("update tasks set updated_at = now() - interval '25 hours' where id = $1", [old]);
    await queue.rows("alter table tasks enable trigger tasks_guard");
    const row = await only("recent_task_activity", "pool", pool);
    expect(row).toMatchObject({ task_id: task, status: "Complete", waiting_sec: 100, processing_sec: 145.5 });
  });

  it("worker_performance has the success rate and the throughput, without attempts that do not count", async () => {
    pool = await queue.newPool();
    const [a, b, c, d, e] = await queue.addTasks(pool, 5);
    const now = Date.now();
    const worker = await queue.newWorker(pool, {
      status: "terminated",
      created_at: new Date(now - 7_260_000),
      ready_at: new Date(now - 7_200_000),
      gone_at: new Date(now),
      cost_usd: 1.5,
    });
    await held(worker, a!, 1000, 900);
    await held(worker, b!, 900, 700);
    await held(worker, c!, 700, 640);
    await held(worker, d!, 600, 500, "task_error");
    await held(worker, e!, 500, 400, "drained");
    expect(await only("worker_performance", "worker_id", worker)).toMatchObject({
      attempts: 5,
      completed: 3,
      failed: 1,
      success_percent: 75,
      mean_processing_sec: 120,
      completed_per_hour: 1.5,
      boot_sec: 60,
      cost_usd: 1.5,
      cost_per_completed_usd: 0.5,
    });
  });

  it("worker_costs has the final cost of a gone worker, the running cost of a living one, and none without a pod", async () => {
    pool = await queue.newPool();
    const now = Date.now();
    const hourAgo = new Date(now - 3_600_000);
    const rate = { cost_per_hr_usd: 0.6, pod_created_at: hourAgo };
    const gone = await queue.newWorker(pool, {
      ...rate,
      status: "terminated",
      gone_at: new Date(),
      cost_usd: 0.123456,
    });
    const deleted = await queue.newWorker(pool, { ...rate, deleted_at: new Date(now - 1_800_000) });
    const living = await queue.newWorker(pool, rate);
    const reserved = await queue.newWorker(pool, { cost_per_hr_usd: 0.6 });
    const unpriced = await queue.newWorker(pool, { pod_created_at: hourAgo });
    const cost = async (id: string) => (await only("worker_costs", "worker_id", id))["cost_usd"];
    expect(await only("worker_costs", "worker_id", gone)).toMatchObject({ booked: true, cost_usd: 0.123456 });
    expect(await cost(deleted)).toBe(0.3);
    expect(await cost(living)).toBeCloseTo(0.6, 2);
    expect(await cost(reserved)).toBe(0);
    expect(await cost(unpriced)).toBeNull();
  });

  it("task_costs splits a worker's whole cost among its tasks, by the time that each was held", async () => {
    pool = await queue.newPool();
    const gone = { status: "terminated", gone_at: new Date() };
    const one = await queue.newWorker(pool, { ...gone, cost_usd: 1 });
    const two = await queue.newWorker(pool, { ...gone, cost_usd: 0.4 });
    const unpriced = await queue.newWorker(pool, gone);
    const [long, short, both, never, unknown] = await queue.addTasks(pool, 5);
    await held(one, long!, 1000, 400);
    await held(one, short!, 400, 200);
    await held(one, both!, 200, 0, "worker_died");
    await held(two, both!, 100, 0, "completed", 2);
    await held(unpriced, unknown!, 100, 0);
    const cost = async (id: string | undefined) => (await only("task_costs", "task_id", id!))["cost_usd"];
    expect(await cost(long)).toBeCloseTo(0.6, 5);
    expect(await cost(short)).toBeCloseTo(0.2, 5);
    expect(await only("task_costs", "task_id", both!)).toMatchObject({ attempts: 2, busy_sec: 300, cost_usd: 0.6 });
    expect(await cost(never)).toBe(0);
    expect(await cost(unknown)).toBeNull();
  });

  it("v_recent_errors and v_worker_log_activity summarise the logs of a day", async () => {
    await queue.rows(
      `insert into system_logs (timestamp, source_type, source_id, worker_id, log_level, message)
       select now() - hours * interval '1 h', 'worker', 'w-log', 'w-log', level, level
       from (values (30, 'ERROR'), (3, 'ERROR'), (2, 'WARNING'), (1, 'INFO')) as l (hours, level)`,
    );
    const row = await only("v_worker_log_activity", "worker_id", "w-log");
    expect(row).toMatchObject({ lines: 3, warnings: 1, errors: 1 });
    expect(row["silent_sec"]).toBeGreaterThanOrEqual(3600);
    expect(await only("v_recent_errors", "worker_id", "w-log")).toMatchObject({ log_level: "ERROR", message: "ERROR" });
  });
});
