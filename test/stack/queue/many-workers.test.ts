import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";
import type { Claim, Queue } from "../../kit/queue.ts";
import { openSqlPool } from "../../kit/sql-pool.ts";

let api: QueueApi;
let queue: Queue;
let pool: string;
beforeAll(async () => {
  api = await openQueueApi();
  queue = api.queue;
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => api?.close());

describe("thousands of tasks in one request", () => {
  it("are admitted within the statement timeout, and are queued in their order", async () => {
    const tasks = Array.from({ length: 2_500 }, (_, n) => ({
      id: randomUUID(),
      task_type: "generate_video",
      pool,
      params: { prompt: `number ${n}` },
    }));
    const client = api.client(api.keys.serviceRoleKey);
    const { error, status } = await client.from("tasks").insert(tasks);
    expect({ error, status }).toEqual({ error: null, status: 201 });
    const line = await queue.rows<{ id: string }>(
      `select id from tasks where status = 'Queued' and gate = 'open' and pool = $1 order by priority desc, vtime, id`,
      [pool],
    );
    expect(line.map(({ id }) => id)).toEqual(tasks.map(({ id }) => id));
    const worker = await queue.newWorker(pool);
    for (const { id } of tasks.slice(0, 50)) {
      const lease = await queue.lease(worker);
      expect(lease.task_id).toBe(id);
      await queue.finish(lease);
    }
  });
});

describe("two hundred workers that claim at once", () => {
  it("get a different task each, as long as there are any", async () => {
    const tasks = new Set(await queue.addTasks(pool, 190));
    const workers = await queue.newWorkers(pool, 200);
    const connections = openSqlPool(queue.database.databaseUrl, 50);
    try {
      const answers = await Promise.all(
        workers.map((worker) => connections.query<{ answer: Claim }>("select claim_task($1) as answer", [worker])),
      );
      const claimed = answers.flatMap(({ rows }) => rows[0]!.answer.task?.task_id ?? []);
      expect(claimed).toHaveLength(190);
      expect(new Set(claimed)).toEqual(tasks);
      const leases = await queue.rows(
        "select 1 from task_attempts where worker_id = any($1) and ended_at is null and attempt = 1",
        [workers],
      );
      expect(leases).toHaveLength(190);
    } finally {
      await connections.end();
    }
  });
});

describe("the heartbeats of five hundred workers", () => {
  const WORKERS = 500;
  const BEATS = 40;

  it("do not enlarge the table, and write no index", async () => {
    await queue.newWorkers(pool, WORKERS);
    const session = await queue.session();
    const stand = async () => {
      await session.rows("select pg_stat_force_next_flush()");
      const [row] = await session.rows<{ bytes: number; updates: number; hot: number }>(
        `select pg_relation_size('workers')::int as bytes, n_tup_upd::int as updates, n_tup_hot_upd::int as hot
         from pg_stat_user_tables where relid = 'workers'::regclass`,
      );
      return row!;
    };
    const before = await stand();
    // Each heartbeat is a transaction, as GPU workers send them; half of them use the function of the old protocol.
    await session.rows(`do $$
      declare
        worker text;
        workers text[] := array(select id from workers where pool = '${pool}');
      begin
        for beat in 1..${BEATS / 2} loop
          foreach worker in array workers loop
            perform worker_heartbeat(worker, 24576, beat);
            commit;
            perform func_update_worker_heartbeat(worker, 24576, beat);
            commit;
          end loop;
        end loop;
      end $$`);
    const after = await stand();
    await session.end();
    const updates = after.updates - before.updates;
    expect(updates).toBeGreaterThanOrEqual(WORKERS * BEATS);
    // While an autovacuum's snapshot is open, old row versions stay: a few pages of growth, not a page for thirty heartbeats.
    const unpruned = updates * (before.bytes / WORKERS);
    expect((after.hot - before.hot) / updates).toBeGreaterThan(0.85);
    expect(after.bytes - before.bytes).toBeLessThan(unpruned / 10);
  });
});
