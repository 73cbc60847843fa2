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

describe("the observation", () => {
  it("shows a worker's run of failures from the third different task on, with another worker's completion", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    await failing.failsTasks(bad, 2);
    expect(await failing.runOf(bad)).toBeNull();
    await failing.failsTasks(bad, 1);
    expect(await failing.runOf(bad)).toEqual({
      tasks: 3,
      since_ms: expect.any(Number),
      others_completed_ms: expect.any(Number),
    });
    expect(await failing.runOf(good)).toBeNull();
    expect(await failing.runOf(bad, { p_sick_tasks: 4 })).toBeNull();
  });

  it("counts different tasks: one poison task that fails three times is no sign of a sick worker", async () => {
    const bad = await queue.newWorker(pool);
    await queue.addTask(pool);
    await failing.failsNext(bad, false);
    await failing.failsNext(bad, false);
    await failing.failsNext(bad, false);
    expect(await failing.runOf(bad)).toBeNull();
  });

  it("counts from the last task that the worker completed itself; a task that it gave back is neither", async () => {
    const bad = await queue.newWorker(pool);
    await failing.failsTasks(bad, 2);
    await failing.completes(bad);
    await failing.failsTasks(bad, 1);
    const given = await queue.addTask(pool);
    await queue.release(await queue.lease(bad));
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [given]);
    expect(await failing.runOf(bad)).toBeNull();
    await failing.failsTasks(bad, 2);
    expect(await failing.runOf(bad)).toMatchObject({ tasks: 3 });
  });

  it("forgets failures after the window, and completions before the proof's time or of other types", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    await failing.completes(good, { task_type: "other_type" });
    await failing.later(61);
    await failing.completes(good, { task_type: "other_type" });
    await failing.completes(bad);
    await failing.failsTasks(bad, 3);
    expect(await failing.runOf(bad)).toMatchObject({ tasks: 3, others_completed_ms: null });
    expect(await failing.runOf(bad, { p_sick_proof_min: 70 })).toMatchObject({
      others_completed_ms: expect.any(Number),
    });
    await failing.later(5);
    expect(await failing.runOf(bad)).not.toBeNull();
    expect(await failing.runOf(bad, { p_sick_window_min: 4 })).toBeNull();
    await failing.later(6);
    expect(await failing.runOf(bad)).toBeNull();
  });

  it("takes the completion of a worker that is gone, but none of another pool", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    const other = await queue.newPool();
    await queue.addTask(other);
    await queue.finish(await queue.lease(await queue.newWorker(other)));
    await failing.failsTasks(bad, 3);
    expect(await failing.runOf(bad)).toMatchObject({ others_completed_ms: null });
    await failing.completes(good);
    await queue.rows("update workers set status = 'terminated', gone_at = now() where id = $1", [good]);
    expect(await failing.runOf(bad)).toMatchObject({ others_completed_ms: expect.any(Number) });
  });
});

describe("the end of a sick worker", () => {
  it("puts back what it failed, uncounted, and what it held; the journal and a notification say so", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await queue.rows("insert into notification_endpoints (url, pool, kinds) values ('http://127.0.0.1:1/', $1, $2)", [
      pool,
      ["task.failed", "task.reopened"],
    ]);
    await failing.completes(good);
    const failed = await failing.failsTasks(bad, 3);
    const requeued = await queue.addTask(pool);
    await failing.failsNext(bad, false);
    await failing.failsNext(bad, false);
    const held = (await queue.lease(bad)).task_id;
    expect(held).toBe(requeued);
    expect(await failing.statuses(failed)).toEqual(["Failed", "Failed", "Queued"]);
    const run = await failing.runOf(bad);
    expect(await failing.end(bad, run)).toMatchObject({ outcome: "failed", leases_closed: 1 });
    expect(await failing.end(bad, run)).toMatchObject({ outcome: "not_living" });
    expect(await failing.statuses([...failed, requeued])).toEqual(["Queued", "Queued", "Queued", "Queued"]);
    for (const id of [...failed, requeued]) {
      expect(await queue.task(id)).toMatchObject({ attempts: 0, worker_id: null, gate: "open" });
    }
    expect((await queue.task(failed[0]!)).error_message).toBe(
      `put back: worker ${bad} was sick; its error was: CUDA error`,
    );
    const told = await queue.rows<{ task: string }>(
      "select payload ->> 'task_id' as task from outbox where pool = $1 and kind = 'task.reopened'",
      [pool],
    );
    expect(told.map(({ task }) => task).toSorted()).toEqual(failed.slice(0, 2).toSorted());
    const events = await queue.rows("select task_id from pool_events where pool = $1 and kind = 'task.reopened'", [
      pool,
    ]);
    expect(events).toHaveLength(2);
    expect(
      await queue.one(
        "select details -> 'put_back' as put from pool_events where worker_id = $1 and details ? 'put_back'",
        [bad],
      ),
    ).toEqual({ put: { tasks: 4, reopened: 2 } });
    for (const _ of [...failed, requeued]) {
      await queue.finish(await queue.lease(good));
    }
    expect(await failing.statuses([...failed, requeued])).toEqual(Array(4).fill("Complete"));
  });

  it("happens once to a task: what a second worker says is final, and is no evidence against that worker", async () => {
    const [bad = "", second = "", good = ""] = await queue.newWorkers(pool, 3);
    await failing.completes(good);
    const failed = await failing.failsTasks(bad, 3);
    await failing.end(bad, await failing.runOf(bad));
    const again = [await failing.failsNext(second), await failing.failsNext(second), await failing.failsNext(second)];
    expect(again.toSorted()).toEqual(failed.toSorted());
    expect(await failing.runOf(second)).toBeNull();
    const since = { tasks: 3, since_ms: 0, others_completed_ms: null };
    expect(await failing.end(second, since)).toMatchObject({ outcome: "failed" });
    expect(await failing.statuses(failed)).toEqual(["Failed", "Failed", "Failed"]);
    expect(await queue.task(failed[0]!)).toMatchObject({ attempts: 1, error_message: "CUDA error" });
  });

  it("is refused when the worker has completed a task since its run began", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    const failed = await failing.failsTasks(bad, 3);
    const run = await failing.runOf(bad);
    await failing.completes(bad);
    expect(await failing.end(bad, run)).toMatchObject({ outcome: "refused_recovered" });
    expect(await failing.statuses(failed)).toEqual(["Failed", "Failed", "Queued"]);
  });

  it("leaves alone what another worker failed later, what was cancelled, and failures before the run", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    const [early = ""] = await failing.failsTasks(bad, 1);
    await failing.completes(bad);
    await failing.completes(good);
    const [elsewhere = ""] = await queue.addTasks(pool, 1, { priority: 5 });
    await failing.failsNext(bad, false);
    await failing.failsNext(good, true, "no prompt");
    const cancelled = await queue.addTask(pool, { priority: 5 });
    await failing.failsNext(bad, false);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [cancelled]);
    const mine = await failing.failsTasks(bad, 3);
    await failing.end(bad, await failing.runOf(bad));
    expect(await failing.statuses([early, elsewhere, cancelled])).toEqual(["Failed", "Failed", "Cancelled"]);
    expect(await queue.task(elsewhere)).toMatchObject({ error_message: "no prompt" });
    expect(await failing.statuses(mine)).toEqual(["Queued", "Queued", "Queued"]);
  });

  it("uncounts its failures at a task that another worker holds now", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    const shared = await queue.addTask(pool, { priority: 5 });
    await failing.failsNext(bad, false);
    const lease = await queue.lease(good);
    expect(lease.task_id).toBe(shared);
    await failing.failsTasks(bad, 2);
    await failing.end(bad, await failing.runOf(bad));
    expect(await queue.task(shared)).toMatchObject({ status: "In Progress", worker_id: good, attempts: 1 });
    expect(await queue.finish(lease)).toBe("completed");
  });
});

describe("an external worker", () => {
  const judge = (worker: string, evidence: string, since: number | null) =>
    queue.call<string>("end_external_worker", {
      p_worker_id: worker,
      p_evidence: evidence,
      p_lease_cause: "worker_died",
      p_reason: "it is unwell",
      p_failed_since_ms: since,
    });

  it("that is sick is drained, never deleted, and its failures come back, once", async () => {
    const good = await queue.newWorker(pool);
    const bad = await queue.newWorker(pool, { origin: "external", last_heartbeat: new Date() });
    await failing.completes(good);
    const failed = await failing.failsTasks(bad, 3);
    const held = await queue.addTask(pool, { priority: 9 });
    await queue.lease(bad);
    const run = await failing.runOf(bad);
    expect(await judge(bad, "failures", run!.since_ms)).toBe("ended");
    expect(await judge(bad, "failures", run!.since_ms)).toBe("not_living");
    expect(await failing.statuses([...failed, held])).toEqual(["Queued", "Queued", "Queued", "In Progress"]);
    expect(await queue.one("select status, gone_at, failed_on from workers where id = $1", [bad])).toEqual({
      status: "terminating",
      gone_at: null,
      failed_on: "failures",
    });
  });

  it("that is broken is drained and loses its task", async () => {
    const bad = await queue.newWorker(pool, { origin: "external", last_heartbeat: new Date() });
    const held = await queue.addTask(pool);
    await queue.lease(bad);
    expect(await judge(bad, "report", null)).toBe("ended");
    expect(await queue.task(held)).toMatchObject({ status: "Queued", attempts: 1 });
  });
});

it("An ended task changes for nobody else: not by its status alone, nor by a direct write of reopened_at", async () => {
  const [worker = ""] = await queue.newWorkers(pool, 1);
  const [id = ""] = await failing.failsTasks(worker, 1);
  await expect(queue.rows("update tasks set status = 'Queued' where id = $1", [id])).rejects.toMatchObject({
    code: "PT409",
  });
  const session = await queue.session();
  await session.rows("set role service_role");
  const write = session.rows("update tasks set status = 'Queued', reopened_at = now() where id = $1", [id]);
  await expect(write).rejects.toMatchObject({ code: "PT409" });
  await session.end();
  const done = await failing.completes(worker);
  await expect(
    queue.rows("update tasks set status = 'Queued', reopened_at = now() where id = $1", [done]),
  ).rejects.toMatchObject({ code: "PT409" });
});
