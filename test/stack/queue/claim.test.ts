import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Claim, leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";
import { openSqlPool } from "../../kit/sql-pool.ts";

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

describe("a claim", () => {
  it("takes the task, counts the attempt, and returns a new lease with the task", async () => {
    const id = await queue.addTask(pool, { params: { prompt: "a cat" } });
    const worker = await queue.newWorker(pool);
    const claim = await queue.claim(worker);
    expect(claim).toMatchObject({
      worker_status: "active",
      task: { task_id: id, task_type: "generate_video", params: { prompt: "a cat" }, attempt: 1 },
    });
    expect(await queue.task(id)).toMatchObject({ status: "In Progress", worker_id: worker, attempts: 1 });
    const leases = await queue.rows<{ worker_id: string; lease_token: string }>(
      "select worker_id, lease_token from task_attempts where task_id = $1 and ended_at is null and cause is null",
      [id],
    );
    expect(leases).toEqual([{ worker_id: worker, lease_token: claim.task!.lease_token }]);
  });

  it("returns no task when the queue is empty", async () => {
    expect(await queue.claim(await queue.newWorker(pool))).toEqual({ worker_status: "active", task: null });
  });

  it("writes nothing and locks no row while the line is empty, or while its worker gets no task", async () => {
    const [idle, full] = [pool, await queue.newPool()];
    await queue.addTask(full);
    const waiting = await queue.newWorker(idle);
    const draining = await queue.newWorker(full, { status: "terminating" });
    const session = await queue.session();
    for (const worker of [waiting, draining]) {
      await session.rows("begin");
      expect(await session.call<Claim>("claim_task", { p_worker_id: worker })).toMatchObject({ task: null });
      expect(
        await session.rows(
          `select pg_current_xact_id_if_assigned() as transaction,
             (select count(*)::int from pg_locks where pid = pg_backend_pid() and locktype in ('tuple', 'transactionid')) as rows`,
        ),
      ).toEqual([{ transaction: null, rows: 0 }]);
      await session.rows("commit");
    }
    await queue.rows("update tasks set status = 'Cancelled' where pool = $1", [full]);
  });

  it.each(["spawning", "terminating", "terminated", "error"])(
    "gives no task to a worker that is %s",
    async (status) => {
      await queue.addTask(pool);
      expect(await queue.claim(await queue.newWorker(pool, { status }))).toEqual({ worker_status: status, task: null });
    },
  );

  it("gives no task to an unknown worker", async () => {
    await queue.addTask(pool);
    expect(await queue.claim(`${pool}-unknown`)).toEqual({ worker_status: "unknown", task: null });
  });

  it("takes tasks only from the worker's own pool", async () => {
    const elsewhere = await queue.newPool();
    await queue.addTask(elsewhere, { priority: 9 });
    const worker = await queue.newWorker(pool);
    expect((await queue.claim(worker)).task).toBeNull();
    const own = await queue.addTask(pool);
    expect((await queue.lease(worker)).task_id).toBe(own);
  });

  it("invariant 5: returns the caller's own open lease first, also if the worker was drained since", async () => {
    await queue.addTasks(pool, 3);
    const worker = await queue.newWorker(pool);
    const first = await queue.lease(worker);
    expect(await queue.lease(worker)).toEqual(first);
    await queue.call("drain_worker", { p_worker_id: worker, p_reason: "test", p_only_idle: false });
    expect(await queue.claim(worker)).toEqual({ worker_status: "terminating", task: first });
    expect(await queue.rows("select 1 from task_attempts where worker_id = $1", [worker])).toHaveLength(1);
    await queue.finish(first);
    expect(await queue.claim(worker)).toEqual({ worker_status: "terminating", task: null });
  });

  it("invariant 5: returns the same lease to two calls at once from one worker", async () => {
    await queue.addTasks(pool, 2);
    const worker = await queue.newWorker(pool);
    const [one, other] = [await queue.session(), await queue.session()];
    await one.rows("begin");
    const first = await one.call<Claim>("claim_task", { p_worker_id: worker });
    const second = other.call<Claim>("claim_task", { p_worker_id: worker });
    await queue.untilBlocked(other);
    await one.rows("commit");
    expect(first.task).not.toBeNull();
    expect(await second).toEqual(first);
  });

  it("closes the lease of a task that was cancelled since, and takes the next task", async () => {
    const [cancelled, next] = await queue.addTasks(pool, 2);
    const worker = await queue.newWorker(pool);
    await queue.lease(worker);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [cancelled]);
    expect((await queue.lease(worker)).task_id).toBe(next);
    const attempts = "select cause from task_attempts where task_id = $1";
    expect(await queue.rows(attempts, [cancelled])).toEqual([{ cause: "cancelled" }]);
    expect(await queue.task(cancelled!)).toMatchObject({ status: "Cancelled" });
  });

  it("never shares a task among fifty clients at once: every task is run once", async () => {
    await queue.addTasks(pool, 400);
    const workers = await queue.newWorkers(pool, 50);
    const connections = openSqlPool(queue.database.databaseUrl, 50);
    const claimed: string[] = [];
    const work = async (worker: string) => {
      const client = await connections.connect();
      try {
        for (;;) {
          const { rows } = await client.query<{ answer: Claim }>("select claim_task($1) as answer", [worker]);
          const { task } = rows[0]!.answer;
          if (task === null) {
            return;
          }
          claimed.push(task.task_id);
          const { p_task_id, p_lease_token } = leaseArgs(task);
          await client.query("select finish_task($1, $2, null, null, '{}')", [p_task_id, p_lease_token]);
        }
      } finally {
        client.release();
      }
    };
    await Promise.all(workers.map(work));
    await connections.end();
    expect(claimed).toHaveLength(400);
    expect(new Set(claimed).size).toBe(400);
    const ends = await queue.rows(
      `select t.status, t.attempts, count(*)::int as n from tasks t join task_attempts a on a.task_id = t.id
       where t.pool = $1 and a.cause = 'completed' group by 1, 2`,
      [pool],
    );
    expect(ends).toEqual([{ status: "Complete", attempts: 1, n: 400 }]);
  });
});

describe("invariant 7: one predicate serves count and claim", () => {
  const observed = async () => {
    const args = { p_pool: pool, p_known_fleet: null, p_full: false, p_poll_sec: 30 };
    return (await queue.call<{ queued: number }>("pool_observe", args)).queued;
  };

  it("the tasks counted as queued are exactly those that can be claimed, with any mixture of gates", async () => {
    const limited = await queue.newProject({ max_running: 3 });
    const paused = await queue.newProject({ paused: true });
    const parent = await queue.addTask(pool);
    await queue.addTasks(pool, 4);
    await queue.addTasks(pool, 10, { project_id: limited });
    await queue.addTasks(pool, 6, { project_id: paused });
    await queue.addTasks(pool, 5, { dependant_on: parent });
    await queue.addTasks(await queue.newPool(), 7);
    const [cancelled] = await queue.addTasks(pool, 2);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [cancelled]);

    const counted = await observed();
    expect(counted).toBe(5 + 3 + 1);
    const claims = [];
    for (const worker of await queue.newWorkers(pool, 12)) {
      claims.push((await queue.claim(worker)).task);
    }
    expect(claims.filter((task) => task !== null)).toHaveLength(counted);
    expect(await observed()).toBe(0);

    for (const task of claims) {
      if (task !== null) {
        await queue.finish(task);
      }
    }
    // Three tasks of the limited project, and the five children.
    expect(await observed()).toBe(3 + 5);
  });

  it("the count stops at ten thousand, because no decision differs above that", async () => {
    await queue.rows("alter table tasks disable trigger tasks_admit");
    await queue.rows(
      "insert into tasks (task_type, pool, vtime) select 'generate_video', $1, n from generate_series(1, 10500) as n",
      [pool],
    );
    await queue.rows("alter table tasks enable trigger tasks_admit");
    expect(await observed()).toBe(10_000);
  });
});
