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

describe("what a sick worker's failures failed", () => {
  it("comes back with them: tasks that waited, at any distance", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    const first = await queue.addTask(pool, { priority: 5 });
    const second = await queue.addTask(pool, { dependant_on: first, priority: 5 });
    const third = await queue.addTask(pool, { dependant_on: second, priority: 5 });
    expect(await failing.failsNext(bad)).toBe(first);
    expect(await failing.statuses([second, third])).toEqual(["Failed", "Failed"]);
    await failing.failsTasks(bad, 2);
    await failing.end(bad, await failing.runOf(bad));
    expect(await queue.task(third)).toMatchObject({ status: "Queued", gate: "blocked", error_message: null });
    for (const id of [first, second, third]) {
      const lease = await queue.lease(good);
      expect(lease.task_id).toBe(id);
      await queue.finish(lease);
    }
  });

  it("comes back with them: a task that was born failed", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    const [first = ""] = await failing.failsTasks(bad, 3);
    const late = await queue.addTask(pool, { dependant_on: first });
    expect(await queue.task(late)).toMatchObject({ status: "Failed" });
    await failing.end(bad, await failing.runOf(bad));
    expect(await queue.task(late)).toMatchObject({ status: "Queued", gate: "blocked", error_message: null });
  });

  it("comes back with them: the orchestrator task, which ends with its last sub-task", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator", priority: 7 });
    const after = await queue.addTask(pool, { dependant_on: parent });
    const planning = await queue.lease(good);
    const params = { orchestrator_task_id_ref: parent };
    const one = await queue.addTask(pool, { params, priority: 6 });
    const two = await queue.addTask(pool, { params, dependant_on: one, priority: 6 });
    await queue.call("delegate_task", { p_task_id: parent, p_lease_token: planning.lease_token });
    expect(await failing.failsNext(bad)).toBe(one);
    const family = [parent, one, two, after];
    expect(await failing.statuses(family)).toEqual(["Failed", "Failed", "Failed", "Failed"]);
    await failing.failsTasks(bad, 2);
    await failing.end(bad, await failing.runOf(bad));
    expect(await failing.statuses(family)).toEqual(["In Progress", "Queued", "Queued", "Queued"]);
    expect((await queue.lease(good)).task_id).toBe(one);
    await queue.finish(await queue.lease(good));
    await queue.finish(await queue.lease(good));
    expect(await failing.statuses(family)).toEqual(["Complete", "Complete", "Complete", "Queued"]);
    expect(await queue.task(after)).toMatchObject({ gate: "open" });
  });

  it("comes back with them: the sub-tasks of an orchestrator task that the worker failed itself", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator", priority: 7 });
    const planning = await queue.lease(bad);
    const params = { orchestrator_task_id_ref: parent };
    const [one = "", two = ""] = await queue.addTasks(pool, 2, { params, priority: 6 });
    const running = await queue.lease(good);
    await queue.fail(planning, "CUDA error", true);
    const late = await queue.addTask(pool, { params });
    const family = [parent, one, two, late];
    expect(await failing.statuses(family)).toEqual(["Failed", "Cancelled", "Cancelled", "Cancelled"]);
    expect(await queue.finish(running)).toBe("lease_lost");
    await failing.failsTasks(bad, 2);
    await failing.end(bad, await failing.runOf(bad));
    expect(await failing.statuses(family)).toEqual(["Queued", "Queued", "Queued", "Queued"]);
    expect(await queue.task(running.task_id)).toMatchObject({ attempts: 0, error_message: null });
    expect((await queue.lease(good)).task_id).toBe(parent);
  });

  it("stays as it is where the orchestrator task ended for another reason", async () => {
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator", priority: 7 });
    const planning = await queue.lease(good);
    const params = { orchestrator_task_id_ref: parent };
    const [one = "", two = ""] = await queue.addTasks(pool, 2, { params, priority: 6 });
    expect(await failing.failsNext(bad)).toBe(one);
    expect(await queue.finish(planning)).toBe("completed");
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [two]);
    const other = await queue.addTask(pool, { task_type: "travel_orchestrator", priority: 7 });
    const second = await queue.lease(good);
    const [child = ""] = await queue.addTasks(pool, 1, { params: { orchestrator_task_id_ref: other }, priority: 6 });
    expect(await failing.failsNext(bad)).toBe(child);
    await queue.fail(second, "no plan", true);
    await failing.failsTasks(bad, 2);
    await failing.end(bad, await failing.runOf(bad));
    expect(await failing.statuses([parent, one])).toEqual(["Complete", "Queued"]);
    expect(await failing.statuses([other, child])).toEqual(["Failed", "Failed"]);
  });

  it("goes through its project's limit again", async () => {
    const project_id = await queue.newProject({ max_running: 1 });
    const [bad = "", good = ""] = await queue.newWorkers(pool, 2);
    await failing.completes(good);
    const failed = await failing.failsTasks(bad, 3, { project_id });
    await failing.end(bad, await failing.runOf(bad));
    const gates = await Promise.all(failed.map(async (id) => (await queue.task(id)).gate));
    expect(gates.toSorted()).toEqual(["held", "held", "open"]);
    for (const _ of failed) {
      await queue.finish(await queue.lease(good));
    }
    expect(await failing.statuses(failed)).toEqual(Array(3).fill("Complete"));
  });
});
