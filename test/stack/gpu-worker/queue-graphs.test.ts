import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ClaimedTask, SubTask } from "../../../src/gpu-worker/queue/queue.ts";
import { openPostgresKind } from "../../kit/queues/postgres-kind.ts";
import { openSqliteKind } from "../../kit/queues/sqlite-kind.ts";
import type { QueueKind, QueueWorld, TestWorker } from "../../kit/queues/world.ts";

const KINDS = { Postgres: openPostgresKind, SQLite: openSqliteKind };
const DONE = { storagePath: null as unknown as string, outputLocation: null as unknown as string, result: {} };

describe.each(Object.entries(KINDS))("a graph of tasks in the queue in %s", (_name, open) => {
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

  it("gives a task what the one that it waited for has made", async () => {
    const before = await world.add();
    const after = await world.add({ dependsOn: before });
    await worker.queue.finish(await lease(), { ...DONE, result: { made: "before" } });
    const waiting = await lease();
    expect(waiting.taskId).toBe(after);
    const { queue } = worker;
    expect(await queue.predecessorOutput(waiting)).toMatchObject({ taskId: before, status: "Complete" });
    expect(await queue.outputOf(waiting, before)).toMatchObject({ taskId: before, resultData: { made: "before" } });
    expect(await queue.outputOf(waiting, randomUUID())).toBeNull();
  });

  const parts = (count: number, prefix = randomUUID().slice(0, 24)) =>
    Array.from({ length: count }, (_, index) => ({
      id: `${prefix}${String(index).padStart(12, "0")}`,
      taskType: "travel_segment",
      params: { segment_index: index, orchestrator_run_id: prefix },
      dependantOn: index === 0 ? null : `${prefix}${String(index - 1).padStart(12, "0")}`,
    }));
  const delegated = async (count: number) => {
    const parent = await world.add({ type: "travel_orchestrator", project: await world.newProject() });
    const task = await lease();
    const subTasks = parts(count);
    const result = subTasks.at(-1)!.id;
    expect(await worker.queue.delegate(task, subTasks, result)).toBe("delegated");
    return { parent, task, subTasks, result };
  };

  it("writes them once, frees the worker, and completes the parent with the named one's result", async () => {
    const { parent, task, subTasks, result } = await delegated(3);
    expect(await worker.queue.delegate(task, subTasks, result)).toBe("delegated");
    expect(await world.subTasks(parent)).toMatchObject(
      subTasks.map(({ id, taskType, params, dependantOn }) => ({ id, type: taskType, params, dependsOn: dependantOn })),
    );
    expect(await world.task(parent)).toMatchObject({ status: "In Progress", worker: null, attempts: 0 });
    for (const [index, { id }] of subTasks.entries()) {
      const part = await lease();
      expect(part.taskId).toBe(id);
      await worker.queue.finish(part, { ...DONE, result: { made: index } });
    }
    expect(await world.task(parent)).toMatchObject({
      status: "Complete",
      result: { made: 2, result_task_id: result },
    });
    expect(await world.causes(parent)).toEqual(["delegated"]);
  });

  it("fails the parent when one of them fails, with what waited for it", async () => {
    const { parent, subTasks } = await delegated(3);
    await worker.queue.finish(await lease(), DONE);
    await worker.queue.fail(await lease(), "no memory", true);
    const [, second, third] = await Promise.all(subTasks.map(({ id }) => world.task(id)));
    expect([second?.status, third?.status]).toEqual(["Failed", "Failed"]);
    const { status, error } = await world.task(parent);
    expect({ status, error }).toEqual({
      status: "Failed",
      error: `sub-task ${subTasks[1]!.id} (travel_segment) is Failed: no memory`,
    });
  });

  it("holds the last one until all its siblings are complete, and fails it with any of them", async () => {
    for (const outcome of ["Complete", "Failed"]) {
      const parent = await world.add({ type: "travel_orchestrator" });
      const task = await lease();
      const [first, second, last] = parts(3).map((each) => ({ ...each, dependantOn: null }));
      const subTasks: SubTask[] = [first!, { ...last!, afterSiblings: true }, second!];
      await worker.queue.delegate(task, subTasks, last!.id);
      await worker.queue.finish(await lease(), DONE);
      const other = await lease();
      expect(other.taskId).toBe(second!.id);
      const observer = await world.newWorker();
      expect((await observer.queue.claim()).task).toBeNull();
      if (outcome === "Complete") {
        await worker.queue.finish(other, DONE);
        await worker.queue.finish(await lease(), DONE);
      } else {
        await worker.queue.fail(other, "no memory", true);
      }
      const error = outcome === "Complete" ? null : `depends on task ${second!.id}, which is Failed`;
      expect((await world.task(last!.id)).error).toBe(error);
      expect([(await world.task(last!.id)).status, (await world.task(parent)).status]).toEqual([outcome, outcome]);
    }
  });

  it("cancels them with the parent, also one that a worker has", async () => {
    const { parent, subTasks } = await delegated(2);
    const running = await lease();
    await world.cancel(parent);
    expect((await (await world.newWorker()).queue.claim()).task).toBeNull();
    expect(await worker.queue.reportProgress(running, 0.5, "half")).toBe(false);
    const states = await Promise.all(subTasks.map(async ({ id }) => (await world.task(id)).status));
    expect(states[0]).toBe("Cancelled");
    expect(["Cancelled", "Failed"]).toContain(states[1]);
  });

  it("refuses an id that another task has, and a result task that is none of them; nothing is written", async () => {
    const taken = await world.add({ priority: -5 });
    const parent = await world.add({ type: "travel_orchestrator" });
    const task = await lease();
    const subTasks = parts(2);
    const foreign = [...subTasks, { ...subTasks[0]!, id: taken, dependantOn: null }];
    await expect(worker.queue.delegate(task, foreign, taken)).rejects.toThrow(taken);
    await expect(worker.queue.delegate(task, subTasks, taken)).rejects.toThrow(taken);
    expect(await world.subTasks(parent)).toEqual([]);
    expect(await worker.queue.reportProgress(task, 0.1, "held")).toBe(true);
  });

  it("refuses sub-tasks that would wait in a circle, and nothing is written", async () => {
    const parent = await world.add({ type: "travel_orchestrator" });
    const task = await lease();
    const [first, second, third] = parts(3) as [SubTask, SubTask, SubTask];
    const last: SubTask = { ...third, dependantOn: null, afterSiblings: true };
    const circles: SubTask[][] = [
      [{ ...first, dependantOn: first.id }],
      [{ ...first, dependantOn: second.id }, second],
      [{ ...first, dependantOn: last.id }, second, last],
      [last, { ...second, dependantOn: last.id }],
    ];
    for (const subTasks of circles) {
      await expect(worker.queue.delegate(task, subTasks, subTasks[0]!.id)).rejects.toMatchObject({
        kind: "rejected",
        message: expect.stringContaining("dependant_on"),
      });
    }
    expect(await world.subTasks(parent)).toEqual([]);
    expect(await worker.queue.delegate(task, [last, first, second], last.id)).toBe("delegated");
  });
});
