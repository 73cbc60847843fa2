import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { failingWorkers, type FailingWorkers } from "../../kit/failing-workers.ts";
import { openQueue, type Queue } from "../../kit/queue.ts";

let queue: Queue;
let pool: string;
let failing: FailingWorkers;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
  failing = failingWorkers(queue, pool);
});
afterAll(() => queue?.close());

async function retry(id: string) {
  return await queue.call<object>("retry_task", { p_id: id, p_reason: "put back: the model is there now" });
}

describe("a retry by an operator", () => {
  it("invariant 5: brings a failed task back with what its failing failed, journaled and notified, with three new attempts", async () => {
    const worker = await queue.newWorker(pool);
    await queue.rows("insert into notification_endpoints (url, kinds, pool) values ('http://127.0.0.1:1', $1, $2)", [
      ["task.failed", "task.reopened"],
      pool,
    ]);
    const first = await queue.addTask(pool);
    const second = await queue.addTask(pool, { dependant_on: first });
    for (const _ of [1, 2, 3]) {
      await failing.failsNext(worker, false);
    }
    expect(await failing.statuses([first, second])).toEqual(["Failed", "Failed"]);

    expect(await retry(second)).toEqual({ outcome: "caused", status: "Failed", because: first, reopened: 0 });
    expect(await retry(first)).toEqual({ outcome: "reopened", status: "Queued", because: null, reopened: 2 });
    expect(await queue.task(first)).toMatchObject({ status: "Queued", gate: "open", attempts: 0 });
    expect(await queue.task(second)).toMatchObject({ status: "Queued", gate: "blocked" });
    expect(
      await queue.rows("select task_id, reason from pool_events where pool = $1 and kind = 'task.reopened'", [pool]),
    ).toHaveLength(2);
    expect(await queue.rows("select 1 from outbox where pool = $1 and kind = 'task.reopened'", [pool])).toHaveLength(2);

    await failing.failsNext(worker, false);
    expect(await queue.task(first)).toMatchObject({ status: "Queued", attempts: 1 });
    const lease = await queue.lease(worker);
    expect(lease.task_id).toBe(first);
    await queue.finish(lease);
    expect((await queue.lease(worker)).task_id).toBe(second);
  });

  it("may be repeated, and refuses what has not failed or is not there", async () => {
    const worker = await queue.newWorker(pool);
    const id = await queue.addTask(pool);
    expect(await retry(id)).toMatchObject({ outcome: "not_failed", status: "Queued" });
    for (const _ of [1, 2]) {
      await failing.failsNext(worker);
      expect(await retry(id)).toMatchObject({ outcome: "reopened", reopened: 1 });
    }
    await queue.finish(await queue.lease(worker));
    expect(await retry(id)).toMatchObject({ outcome: "not_failed", status: "Complete" });
    const missing = "00000000-0000-4000-8000-000000000000";
    expect(await retry(missing)).toEqual({ outcome: "unknown", status: null, because: null, reopened: 0 });
  });

  it("brings the orchestrator task back, unless that has ended for another reason", async () => {
    const worker = await queue.newWorker(pool);
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator", priority: 7 });
    const planning = await queue.lease(worker);
    const params = { orchestrator_task_id_ref: parent };
    const child = await queue.addTask(pool, { params, priority: 6 });
    await queue.call("delegate_task", { p_task_id: parent, p_lease_token: planning.lease_token });
    expect(await failing.failsNext(worker)).toBe(child);
    expect(await retry(parent)).toMatchObject({ outcome: "caused", because: child });
    expect(await retry(child)).toMatchObject({ outcome: "reopened", reopened: 2 });
    expect(await failing.statuses([parent, child])).toEqual(["In Progress", "Queued"]);
  });
});
