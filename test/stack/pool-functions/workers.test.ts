import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue, sha256 } from "../../kit/queue.ts";

interface Row {
  readonly status: string;
  readonly pod_id: string | null;
  readonly token_hash: string | null;
  readonly status_reason: string | null;
  readonly terminating_at: Date | null;
  readonly deleted_at: Date | null;
  readonly gone_at: Date | null;
  readonly cost_usd: string | null;
  readonly last_signal: string | null;
  readonly last_heartbeat: Date | null;
}

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

function row(id: string) {
  return queue.one<Row>("select * from workers where id = $1", [id]);
}
function spawning() {
  return queue.newWorker(pool, { status: "spawning" });
}

describe("drain_worker", () => {
  const drain = (worker: string, onlyIdle = true) =>
    queue.call("drain_worker", { p_worker_id: worker, p_reason: "too many", p_only_idle: onlyIdle });

  it.each(["spawning", "active"])(
    "drains an idle worker that is %s, with its reason, and journals it",
    async (status) => {
      const worker = await queue.newWorker(pool, { status });
      expect(await drain(worker)).toEqual({ outcome: "drained", busy: false });
      expect(await row(worker)).toMatchObject({
        status: "terminating",
        status_reason: "too many",
        terminating_at: expect.any(Date),
      });
      expect(await queue.journalOf(worker)).toEqual(["worker.drain"]);
    },
  );

  it("lets a busy worker drain without a deadline if the order says so, until an order with a deadline comes", async () => {
    await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    await queue.lease(worker);
    const order = async (p_reason: string, p_until_task_ends: boolean) => {
      const args = { p_worker_id: worker, p_reason, p_only_idle: false, p_until_task_ends };
      expect(await queue.call("drain_worker", args)).toEqual({ outcome: "drained", busy: true });
      return await row(worker);
    };
    const patient = await order("the budget is spent", true);
    expect(patient).toMatchObject({ status: "terminating", drains_without_deadline: true });
    expect(await order("the budget is spent", true)).toEqual(patient);
    expect(await drain(worker, true)).toEqual({ outcome: "drained", busy: true });
    expect(await row(worker)).toEqual(patient);
    const withDeadline = await order("shutdown", false);
    expect(withDeadline).toMatchObject({ drains_without_deadline: false, status_reason: "the budget is spent" });
    expect(Number(withDeadline["terminating_at"])).toBeGreaterThan(Number(patient["terminating_at"]));
    expect(await order("shutdown", false)).toEqual(withDeadline);
    expect(await order("the budget is spent", true)).toEqual(withDeadline);
    expect(await queue.journalOf(worker)).toEqual(["worker.drain", "worker.drain"]);
  });

  it("drains an idle worker at once", async () => {
    const worker = await queue.newWorker(pool);
    const args = { p_worker_id: worker, p_reason: "the budget is spent", p_only_idle: false, p_until_task_ends: true };
    expect(await queue.call("drain_worker", args)).toEqual({ outcome: "drained", busy: false });
    expect(await row(worker)).toMatchObject({ status: "terminating", drains_without_deadline: false });
  });

  it("answers a repeated drain with drained and the worker's task, and changes nothing", async () => {
    await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    await queue.lease(worker);
    await drain(worker, false);
    const before = await row(worker);
    expect(await drain(worker, true)).toEqual({ outcome: "drained", busy: true });
    expect(await row(worker)).toEqual(before);
    expect(await queue.journalOf(worker)).toEqual(["worker.drain"]);
  });

  it("invariant 11: records and journals a refusal too", async () => {
    await queue.addTask(pool);
    const worker = await queue.newWorker(pool, { last_signal: "drain" });
    await queue.lease(worker);
    expect(await drain(worker)).toEqual({ outcome: "refused_busy", busy: true });
    expect(await row(worker)).toMatchObject({ status: "active", last_signal: "ready", terminating_at: null });
    expect(await queue.journalOf(worker)).toEqual(["worker.drain"]);
  });

  it.each([
    ["in error", { status: "error" }],
    ["terminated", { status: "terminated" }],
    ["gone", { status: "active", gone_at: new Date() }],
  ])("has nothing to drain in a worker that is %s", async (_, columns) => {
    const worker = await queue.newWorker(pool, columns);
    expect(await drain(worker)).toEqual({ outcome: "not_living", busy: false });
    expect(await row(worker)).toMatchObject({ status: columns.status });
    expect(await drain(`${pool}-unknown`)).toEqual({ outcome: "not_living", busy: false });
  });
});

describe("drain_workers", () => {
  it("drains each worker as drain_worker does, and answers those that are busy and may not be drained", async () => {
    await queue.addTask(pool);
    await queue.addTask(pool);
    const [idle, refusing, busy] = [
      await queue.newWorker(pool),
      await queue.newWorker(pool),
      await queue.newWorker(pool),
    ];
    await queue.lease(refusing);
    await queue.lease(busy);
    const order = (worker_id: string, only_idle: boolean, until_task_ends: boolean) => ({
      worker_id,
      reason: `for ${worker_id}`,
      only_idle,
      until_task_ends,
    });
    const p_orders = [order(refusing, true, false), order(busy, false, true), order(idle, true, false)];
    expect(
      await queue.call("drain_workers", { p_orders: JSON.stringify([...p_orders, order("nobody", true, false)]) }),
    ).toEqual([refusing]);
    expect(await row(idle)).toMatchObject({
      status: "terminating",
      status_reason: `for ${idle}`,
      last_signal: "released",
    });
    expect(await row(busy)).toMatchObject({ status: "terminating", drains_without_deadline: true });
    expect(await row(refusing)).toMatchObject({ status: "active", last_signal: "ready" });
    for (const worker of [idle, busy, refusing]) {
      expect(await queue.journalOf(worker)).toEqual(["worker.drain"]);
    }
  });
});

describe("fail_worker", () => {
  const fail = (worker: string, ground: Readonly<Record<string, unknown>> = {}) =>
    queue.call("fail_worker", {
      p_worker_id: worker,
      p_lease_cause: "worker_died",
      p_reason: "no heartbeat",
      ...ground,
    });

  it.each(["spawning", "active", "terminating"])(
    "fails a worker that is %s and closes its lease with the cause",
    async (status) => {
      const task = await queue.addTask(pool);
      const worker = await queue.newWorker(pool);
      await queue.lease(worker);
      await queue.rows("update workers set status = $2 where id = $1", [worker, status]);
      expect(await fail(worker)).toEqual({ outcome: "failed", leases_closed: 1 });
      expect(await row(worker)).toMatchObject({
        status: "error",
        status_reason: "no heartbeat",
        terminating_at: expect.any(Date),
      });
      const attempts = "select cause, error from task_attempts where task_id = $1";
      expect(await queue.rows(attempts, [task])).toEqual([{ cause: "worker_died", error: "no heartbeat" }]);
      expect(await queue.task(task)).toMatchObject({ status: "Queued", attempts: 1 });
      expect(await queue.journalOf(worker)).toEqual(["worker.fail"]);
    },
  );

  it("a fired timer is a question: a spawn deadline does not fail a worker that has become ready", async () => {
    const worker = await spawning();
    await queue.call("worker_heartbeat", { p_worker_id: worker });
    expect(await fail(worker, { p_require_spawning: true })).toEqual({ outcome: "refused_ready", leases_closed: 0 });
    expect(await row(worker)).toMatchObject({ status: "active" });
    expect(await fail(await spawning(), { p_require_spawning: true })).toMatchObject({ outcome: "failed" });
  });

  it("a fired timer is a question: a verdict is refused if a later heartbeat came", async () => {
    const worker = await queue.newWorker(pool, { last_signal: "fail" });
    await queue.call("worker_heartbeat", { p_worker_id: worker });
    const beat = "select to_ms(last_heartbeat)::float8 as ms from workers where id = $1";
    const { ms: known } = await queue.one<{ ms: number }>(beat, [worker]);
    await queue.rows("update workers set last_heartbeat = last_heartbeat + interval '1 second' where id = $1", [
      worker,
    ]);
    expect(await fail(worker, { p_heartbeat_ms: known })).toEqual({ outcome: "refused_recovered", leases_closed: 0 });
    expect(await row(worker)).toMatchObject({ status: "active", last_signal: "ready" });
    expect(await fail(worker, { p_heartbeat_ms: known + 1000 })).toMatchObject({ outcome: "failed" });
  });

  it("does not fail a worker twice, or one that is gone", async () => {
    const worker = await queue.newWorker(pool);
    await fail(worker);
    const before = await row(worker);
    expect(await fail(worker)).toEqual({ outcome: "not_living", leases_closed: 0 });
    expect(await row(worker)).toEqual(before);
    expect(await fail(`${pool}-unknown`)).toEqual({ outcome: "not_living", leases_closed: 0 });
  });

  it("fails a worker also if it has just released its lease", async () => {
    await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    await queue.release(await queue.lease(worker));
    expect(await fail(worker)).toEqual({ outcome: "failed", leases_closed: 0 });
  });
});

describe("the end of a worker", () => {
  const gone = (worker: string) => queue.call<{ cost_usd: number | null }>("worker_gone", { p_worker_id: worker });
  const deleted = (worker: string) => queue.call("worker_deleted", { p_worker_id: worker });

  it("the shutdown deadline ends an open lease as drained, which does not count", async () => {
    const task = await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    await queue.lease(worker);
    const expel = () => queue.call<number>("expel_worker", { p_worker_id: worker, p_reason: "deadline" });
    expect(await expel()).toBe(1);
    expect(await expel()).toBe(0);
    expect(await queue.task(task)).toMatchObject({ status: "Queued", attempts: 0 });
    expect(await queue.journalOf(worker)).toEqual(["worker.expelled"]);
  });

  it("worker_gone ends the row and its credential, books the cost up to the deletion, and journals it once", async () => {
    const worker = await queue.newWorker(pool, {
      status: "terminating",
      pod_id: `pod-${randomUUID()}`,
      token_hash: sha256(randomUUID()),
      cost_per_hr_usd: 0.5,
    });
    await queue.rows(
      "update workers set pod_created_at = now() - interval '3 hours', deleted_at = now() - interval '1 hour' where id = $1",
      [worker],
    );
    expect(await gone(worker)).toEqual({ cost_usd: 1 });
    expect(await row(worker)).toMatchObject({
      status: "terminated",
      gone_at: expect.any(Date),
      token_hash: null,
      cost_usd: "1.000000",
    });
    const before = await row(worker);
    await gone(worker);
    expect(await row(worker)).toEqual(before);
    expect(await queue.journalOf(worker)).toEqual(["worker.gone"]);
  });

  it("a pod that vanished without our deletion is billed until now, and its task goes back without counting", async () => {
    const task = await queue.addTask(pool);
    const worker = await queue.newWorker(pool, { cost_per_hr_usd: 0.6 });
    await queue.rows("update workers set pod_created_at = now() - interval '10 minutes' where id = $1", [worker]);
    await queue.lease(worker);
    expect((await gone(worker)).cost_usd).toBeCloseTo(0.1, 3);
    expect(await queue.task(task)).toMatchObject({ status: "Queued", attempts: 0 });
    const cause = "select cause from task_attempts where task_id = $1";
    expect(await queue.rows(cause, [task])).toEqual([{ cause: "host_lost" }]);
  });

  it("a worker in error stays in error when its pod is gone, and one without a pod has cost nothing", async () => {
    const worker = await queue.newWorker(pool, { status: "error" });
    expect(await gone(worker)).toEqual({ cost_usd: 0 });
    expect(await row(worker)).toMatchObject({ status: "error", gone_at: expect.any(Date) });
  });

  it("the time of the first deletion counts", async () => {
    const worker = await queue.newWorker(pool, { status: "terminating" });
    await deleted(worker);
    const first = (await row(worker)).deleted_at;
    expect(first).not.toBeNull();
    await deleted(worker);
    expect((await row(worker)).deleted_at).toEqual(first);
  });

  it("worker_load returns the row and whether the worker is busy, and null for an unknown worker", async () => {
    await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    const load = (id: string) => queue.call<unknown>("worker_load", { p_worker_id: id });
    expect(await load(worker)).toMatchObject({ id: worker, pool, status: "active", busy: false, gone_ms: null });
    await queue.lease(worker);
    expect(await load(worker)).toMatchObject({ busy: true });
    expect(await load(`${pool}-unknown`)).toBeNull();
  });

  it("worker_load names the task that the worker holds, or held when it failed, and no earlier one", async () => {
    const worker = await queue.newWorker(pool);
    const load = () => queue.call<unknown>("worker_load", { p_worker_id: worker });
    const tasks = [await queue.addTask(pool), await queue.addTask(pool)];
    const first = await queue.lease(worker);
    expect(await load()).toMatchObject({ task_id: tasks[0] });
    await queue.finish(first);
    expect(await load()).toMatchObject({ task_id: null });
    await queue.lease(worker);
    const failure = { p_worker_id: worker, p_lease_cause: "worker_died", p_reason: "test" };
    expect(await queue.call("fail_worker", failure)).toMatchObject({ outcome: "failed", leases_closed: 1 });
    expect(await load()).toMatchObject({ busy: false, task_id: tasks[1] });
  });
});
