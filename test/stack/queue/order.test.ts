import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

describe("the order of the queue", () => {
  let queue: Queue;
  let pool: string;
  let worker: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
    worker = await queue.newWorker(pool);
  });
  afterAll(() => queue?.close());

  const workOff = async (count: number) => {
    const ids: string[] = [];
    while (ids.length < count) {
      const lease = await queue.lease(worker);
      ids.push(lease.task_id);
      await queue.finish(lease);
    }
    return ids;
  };
  const projects = async (count: number) => {
    const ids: string[] = [];
    while (ids.length < count) {
      ids.push(await queue.newProject());
    }
    return ids;
  };

  it("is first in, first out within one project, whether tasks come one by one or many at once", async () => {
    const project = { project_id: await queue.newProject() };
    const ids = await queue.addTasks(pool, 12, project);
    ids.push(await queue.addTask(pool, project), await queue.addTask(pool, project));
    ids.push(...(await queue.addTasks(pool, 3, project)));
    expect(await workOff(17)).toEqual(ids);
  });

  it("puts the higher priority first, whatever its time and project", async () => {
    const [one, other] = await projects(2);
    const low = await queue.addTasks(pool, 3, { project_id: one, priority: -1 });
    const normal = await queue.addTasks(pool, 3, { project_id: one });
    const high = await queue.addTasks(pool, 3, { project_id: other, priority: 7 });
    expect(await workOff(9)).toEqual([...high, ...normal, ...low]);
  });

  it("is shared evenly between projects, also if one has inserted ten thousand tasks before the others", async () => {
    const [big, small, third] = await projects(3);
    await queue.addTasks(pool, 10_000, { project_id: big });
    const few = await queue.addTasks(pool, 5, { project_id: small });
    const more = await queue.addTasks(pool, 5, { project_id: third });
    const order = await workOff(18);
    const places = (ids: readonly string[]) => ids.map((id) => order.indexOf(id));
    // Every round takes one task of each project, so a latecomer's n-th task is within the first 3n + 2.
    for (const late of [places(few), places(more)]) {
      expect(late).toEqual(late.toSorted((a, b) => a - b));
      for (const [n, place] of late.entries()) {
        expect(place).toBeGreaterThanOrEqual(0);
        expect(place).toBeLessThan(3 * (n + 1) + 2);
      }
    }
  });

  it("lets in a latecomer after many tasks were completed, and does not put all its tasks before the others", async () => {
    const [big, late] = await projects(2);
    await queue.addTasks(pool, 60, { project_id: big });
    await workOff(40);
    const ids = await queue.addTasks(pool, 10, { project_id: late });
    const order = await workOff(10);
    const own = order.filter((id) => ids.includes(id)).length;
    expect(own).toBeGreaterThanOrEqual(4);
    expect(own).toBeLessThanOrEqual(6);
  });

  it("forgets the past: when the queue was empty, a project that had many tasks starts beside one that had none", async () => {
    const [much, nothing] = await projects(2);
    await queue.addTasks(pool, 50, { project_id: much });
    await workOff(50);
    const first = await queue.addTask(pool, { project_id: much });
    const second = await queue.addTask(pool, { project_id: nothing });
    expect(await workOff(2)).toEqual([first, second]);
  });

  it("begins an empty queue behind every place that was given before, so that held tasks are not overtaken", async () => {
    const paused = await queue.newProject({ paused: true });
    const early = await queue.addTasks(pool, 4, { project_id: paused });
    const late = await queue.addTasks(pool, 4, { project_id: await queue.newProject() });
    await queue.rows("update projects set paused = false where id = $1", [paused]);
    expect(await workOff(8)).toEqual([...early, ...late]);
  });

  it("puts a task that comes back to the queue at its old place, the head", async () => {
    const ids = await queue.addTasks(pool, 5);
    await queue.release(await queue.lease(worker));
    expect(await queue.fail(await queue.lease(worker), "no luck")).toBe("requeued");
    expect(await workOff(5)).toEqual(ids);
  });
});
