import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ClaimedTask } from "../../../src/gpu-worker/queue/queue.ts";
import { openPostgresKind } from "../../kit/queues/postgres-kind.ts";
import { openSqliteKind } from "../../kit/queues/sqlite-kind.ts";
import type { QueueKind, QueueWorld, TestWorker } from "../../kit/queues/world.ts";

// One suite for both queues of the GPU worker: what holds of one holds of the other.
const KINDS = { Postgres: openPostgresKind, SQLite: openSqliteKind };
const DONE = {
  storagePath: null as unknown as string,
  outputLocation: null as unknown as string,
  result: { engine: "none" },
};

describe.each(Object.entries(KINDS))("the queue in %s", (_name, open) => {
  let kind: QueueKind;
  let world: QueueWorld;
  let worker: TestWorker;
  beforeAll(async () => {
    kind = await open();
  });
  beforeEach(async () => {
    world = await kind.newWorld();
    worker = await world.newWorker();
  });
  afterAll(() => kind?.close());

  async function lease(of: TestWorker = worker): Promise<ClaimedTask> {
    const { task, workerStatus } = await of.queue.claim();
    if (task === null) {
      throw new Error(`worker ${of.id} (${workerStatus}) found nothing to claim`);
    }
    return task;
  }

  async function drainInOrder(): Promise<string[]> {
    const order: string[] = [];
    for (let claim = await worker.queue.claim(); claim.task !== null; claim = await worker.queue.claim()) {
      order.push(claim.task.taskId);
      await worker.queue.finish(claim.task, DONE);
    }
    return order;
  }

  it("gives tasks by priority, then in turn to projects, then the oldest", async () => {
    const [one, other] = [await world.newProject(), await world.newProject()];
    const late = await world.add({ project: one, priority: -1 });
    const first = await world.add({ project: one });
    const second = await world.add({ project: one });
    const third = await world.add({ project: one });
    const theirs = await world.add({ project: other });
    const urgent = await world.add({ project: other, priority: 5 });
    const order = await drainInOrder();
    expect(order[0]).toBe(urgent);
    expect(order.at(-1)).toBe(late);
    expect(order.filter((id) => [first, second, third].includes(id))).toEqual([first, second, third]);
    expect(order.indexOf(theirs)).toBeLessThan(order.indexOf(third));
  });

  it("gives each task to one of the workers that claim at once", async () => {
    const tasks = await Promise.all(Array.from({ length: 5 }, () => world.add()));
    const workers = await Promise.all(Array.from({ length: 7 }, () => world.newWorker()));
    const claims = await Promise.all(workers.map(({ queue }) => queue.claim()));
    const claimed = claims.flatMap(({ task }) => (task === null ? [] : [task.taskId]));
    expect(claimed.toSorted()).toEqual(tasks.toSorted());
  });

  it("gives params and project with the lease, and the same lease again to a worker that claims again", async () => {
    const project = await world.newProject();
    const id = await world.add({ type: "vace", params: { prompt: "ünï", n: [1, { a: null }] }, project });
    const task = await lease();
    expect(task).toMatchObject({
      taskId: id,
      taskType: "vace",
      params: { prompt: "ünï", n: [1, { a: null }] },
      attempt: 1,
      projectId: project,
    });
    expect(await lease()).toEqual(task);
    expect(await world.task(id)).toMatchObject({ status: "In Progress", attempts: 1, worker: worker.id });
  });

  it("completes a task once, whoever repeats it", async () => {
    const id = await world.add();
    const task = await lease();
    expect(await worker.queue.finish({ ...task, leaseToken: randomUUID() }, DONE)).toBe("lease_lost");
    expect(await worker.queue.reportProgress(task, 0.5, "half")).toBe(true);
    expect(await worker.queue.finish(task, DONE)).toBe("completed");
    expect(await worker.queue.finish(task, DONE)).toBe("already_completed");
    expect(await worker.queue.fail(task, "too late", true)).toBe("lease_lost");
    expect(await worker.queue.release(task, "too late")).toBe("lease_lost");
    expect(await worker.queue.reportProgress(task, 0.6, "after")).toBe(false);
    expect(await world.task(id)).toMatchObject({ status: "Complete", result: { engine: "none" }, error: null });
    expect(await world.causes(id)).toEqual(["completed"]);
  });

  it("completes and claims in one call, which answers the same again", async () => {
    const [one, two] = [await world.add(), await world.add()];
    const first = await lease();
    const answer = await worker.queue.finishAndClaim(first, DONE);
    expect(answer).toMatchObject({ outcome: "completed", workerStatus: "active", task: { taskId: two } });
    expect(await worker.queue.finishAndClaim(first, DONE)).toEqual({ ...answer, outcome: "already_completed" });
    expect((await world.task(one)).status).toBe("Complete");
    const unknown = { taskId: randomUUID(), leaseToken: randomUUID() };
    expect(await worker.queue.finishAndClaim(unknown, DONE)).toEqual({
      outcome: "lease_lost",
      workerStatus: "unknown",
      task: null,
    });
  });

  it("fails a task with its third error, or at once when the error is permanent", async () => {
    const id = await world.add();
    const outcomes = [];
    for (const text of ["one", "two", "three"]) {
      outcomes.push(await worker.queue.fail(await lease(), text, false));
    }
    expect(outcomes).toEqual(["requeued", "requeued", "failed"]);
    expect(await world.task(id)).toMatchObject({ status: "Failed", attempts: 3, error: "three" });
    expect(await world.causes(id)).toEqual(["task_error", "task_error", "task_error"]);
    const bad = await world.add();
    expect(await worker.queue.fail(await lease(), "width: expected a number", true)).toBe("failed");
    expect(await world.task(bad)).toMatchObject({ status: "Failed", attempts: 1, error: "width: expected a number" });
  });

  it("keeps all of a reason, whatever its characters", async () => {
    const id = await world.add();
    expect(await worker.queue.fail(await lease(), "\0no \ud83c memory\0 left", true)).toBe("failed");
    expect((await world.task(id)).error).toBe("\ufffdno \ufffd memory\ufffd left");
  });

  it("gives a dead worker's task to another, counted; a task that two workers died with fails as poison", async () => {
    const id = await world.add();
    const lost = await lease();
    await world.dies(worker);
    expect(await world.task(id)).toMatchObject({ status: "Queued", attempts: 1 });
    expect(await worker.queue.reportProgress(lost, 0.5, "still here")).toBe(false);
    const second = await world.newWorker();
    expect(await lease(second)).toMatchObject({ taskId: id, attempt: 2 });
    expect(await worker.queue.finish(lost, DONE)).toBe("lease_lost");
    expect(await worker.queue.fail(lost, "late", true)).toBe("lease_lost");
    expect((await world.task(id)).status).toBe("In Progress");
    await world.dies(second);
    expect(await world.task(id)).toMatchObject({ status: "Failed", attempts: 2 });
    expect((await world.task(id)).error).toMatch(/^poison: 2 different workers died with this task/);
    expect(await world.causes(id)).toEqual(["worker_died", "worker_died"]);
  });

  it("takes a task back uncounted; from the second time in a row without progress it is delayed", async () => {
    const id = await world.add();
    expect(await worker.queue.release(await lease(), "drained")).toBe("released");
    expect(await world.task(id)).toMatchObject({ status: "Queued", attempts: 0, worker: null });
    const delays = [];
    for (let round = 0; round < 3; round += 1) {
      await worker.queue.release(await lease(), "again");
      delays.push(await world.delaySec(id));
      expect((await worker.queue.claim()).task).toBeNull();
      await world.endDelay(id);
    }
    expect(delays).toEqual([5, 10, 20]);
    const moved = await lease();
    await worker.queue.reportProgress(moved, 0.4, "moved");
    await worker.queue.release(moved, "rotated");
    expect((await lease()).taskId).toBe(id);
    expect(await world.causes(id)).toEqual(Array.from({ length: 5 }, () => "released"));
  });

  it("hands an orchestrator task back whose worker claims again before it has written a sub-task", async () => {
    const parent = await world.add({ type: "travel_orchestrator" });
    const first = await world.add();
    expect((await lease()).taskId).toBe(parent);
    const next = await lease();
    expect(next.taskId).toBe(first);
    await worker.queue.finish(next, DONE);
    expect(await lease()).toMatchObject({ taskId: parent, attempt: 2 });
  });

  it("keeps a task until what it waits for is complete", async () => {
    const before = await world.add();
    const after = await world.add({ dependsOn: before });
    const task = await lease();
    expect(task.taskId).toBe(before);
    const other = await world.newWorker();
    expect((await other.queue.claim()).task).toBeNull();
    await worker.queue.finish(task, { ...DONE, result: { made: "before" } });
    const waiting = await lease(other);
    expect(waiting.taskId).toBe(after);
  });

  it("fails all that waits for a task that fails or is cancelled", async () => {
    const first = await world.add();
    const second = await world.add({ dependsOn: first });
    const third = await world.add({ dependsOn: second });
    await worker.queue.fail(await lease(), "broken", true);
    expect(await world.task(second)).toMatchObject({
      status: "Failed",
      error: `depends on task ${first}, which is Failed`,
    });
    expect(await world.task(third)).toMatchObject({
      status: "Failed",
      error: `depends on task ${second}, which is Failed`,
    });
    const cancelled = await world.add();
    const waiting = await world.add({ dependsOn: cancelled });
    await world.cancel(cancelled);
    expect((await worker.queue.claim()).task).toBeNull();
    expect(await world.task(waiting)).toMatchObject({ status: "Failed", attempts: 0 });
  });

  it("brings a failed task back by an operator's retry, with what its failing failed, and with three new attempts", async () => {
    const first = await world.add();
    const second = await world.add({ dependsOn: first });
    for (const text of ["one", "two", "three"]) {
      await worker.queue.fail(await lease(), text, false);
    }
    expect((await world.task(second)).status).toBe("Failed");
    expect(await world.retry(second)).toEqual({ outcome: "caused", status: "Failed", because: first, reopened: 0 });
    expect(await world.retry(first)).toEqual({ outcome: "reopened", status: "Queued", because: null, reopened: 2 });
    expect(await world.task(first)).toMatchObject({
      status: "Queued",
      attempts: 0,
      error: "put back: it works now; its error was: three",
    });
    expect(await world.retry(first)).toMatchObject({ outcome: "not_failed", status: "Queued" });
    await worker.queue.finish(await lease(), DONE);
    expect((await lease()).taskId).toBe(second);
    expect(await world.retry(randomUUID())).toMatchObject({ outcome: "unknown", status: null });
  });

  it("brings a failed sub-task back with its orchestrator task, which waits again, unless that was cancelled", async () => {
    const parent = await world.add({ type: "travel_orchestrator", priority: 1 });
    const ids = [randomUUID(), randomUUID()] as const;
    const rows = ids.map((id) => ({
      id,
      taskType: "travel_segment",
      params: {},
      dependantOn: id === ids[1] ? ids[0] : null,
    }));
    await worker.queue.delegate(await lease(), rows, ids[1]);
    const failed = await lease();
    await worker.queue.fail(failed, "broken", true);
    expect((await world.task(parent)).status).toBe("Failed");
    expect(await world.retry(parent)).toMatchObject({ outcome: "caused", because: failed.taskId });
    expect(await world.retry(failed.taskId)).toMatchObject({ outcome: "reopened", reopened: 3 });
    expect((await world.task(parent)).status).toBe("In Progress");
    for (const _ of ids) {
      await worker.queue.finish(await lease(), { ...DONE, result: { made: "it" } });
    }
    expect(await world.task(parent)).toMatchObject({ status: "Complete", result: { result_task_id: ids[1] } });

    const other = await world.add({ type: "travel_orchestrator", priority: 1 });
    const child = randomUUID();
    const row = { id: child, taskType: "travel_segment", params: {}, dependantOn: null };
    await worker.queue.delegate(await lease(), [row], child);
    await worker.queue.fail(await lease(), "broken", true);
    await world.retry(child);
    await world.cancel(other);
    expect((await world.task(child)).status).toBe("Cancelled");
    expect(await world.retry(child)).toMatchObject({ outcome: "not_failed", status: "Cancelled" });
  });

  it("takes a cancelled task from its worker", async () => {
    const id = await world.add();
    const task = await lease();
    await world.cancel(id);
    expect(await worker.queue.reportProgress(task, 0.5, "half")).toBe(false);
    expect(await worker.queue.finish(task, DONE)).toBe("lease_lost");
    expect(await world.task(id)).toMatchObject({ status: "Cancelled" });
    expect(await world.causes(id)).toEqual(["cancelled"]);
  });
});
