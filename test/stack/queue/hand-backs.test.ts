import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

describe("a task that is handed back without progress", () => {
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

  const orchestrator = (columns = {}) => queue.addTask(pool, { task_type: "travel_orchestrator", ...columns });
  const delay = (id: string) =>
    queue.one<{ gate: string; hand_backs: number; sec: number | null }>(
      `select gate, hand_backs, round(extract(epoch from delayed_until - now()))::int as sec from tasks where id = $1`,
      [id],
    );
  const endDelay = (id: string) => queue.rows("update tasks set delayed_until = now() where id = $1", [id]);
  const count = async () =>
    (
      await queue.call<{ queued: number }>("pool_observe", {
        p_pool: pool,
        p_known_fleet: null,
        p_full: false,
        p_poll_sec: 30,
      })
    ).queued;

  it("by a worker that claims again lets queued tasks go first, and is delayed from the second time on", async () => {
    const parent = await orchestrator();
    const [first, second] = await queue.addTasks(pool, 2);
    const order = [];
    for (let round = 0; round < 4; round += 1) {
      const { task } = await queue.claim(worker);
      order.push(task?.task_id);
      if (task !== null && task.task_id !== parent) {
        await queue.finish(task);
      }
    }
    expect(order).toEqual([parent, first, second, parent]);
    expect((await queue.claim(worker)).task).toBeNull();
    expect(await delay(parent)).toEqual({ gate: "delayed", hand_backs: 2, sec: 5 });
    expect(await queue.task(parent)).toMatchObject({ status: "Queued", attempts: 0, worker_id: null });
  });

  it("waits twice as long each time, up to five minutes, and is neither counted nor claimed meanwhile", async () => {
    const id = await orchestrator();
    const waits = [];
    const meanwhile = [];
    for (let round = 0; round < 9; round += 1) {
      await queue.release(await queue.lease(worker));
      waits.push((await delay(id)).sec);
      meanwhile.push([await count(), round > 0 && (await queue.claim(worker)).task]);
      await endDelay(id);
      // Either the pool's look or a worker's claim of an empty line ends the delay.
      meanwhile.push(round % 2 === 0 ? await count() : 1);
    }
    expect(meanwhile).toEqual([[1, false], 1, ...Array.from({ length: 8 }, () => [[0, null], 1]).flat()]);
    expect(waits).toEqual([null, 5, 10, 20, 40, 80, 160, 300, 300]);
  });

  it("joins the line behind what is queued when its delay begins, and is not starved by what comes later", async () => {
    const id = await orchestrator();
    await queue.release(await queue.lease(worker));
    await queue.release(await queue.lease(worker));
    await queue.addTask(pool, { priority: 0, project_id: await queue.newProject() });
    await endDelay(id);
    await count();
    const project = await queue.newProject();
    await queue.addTasks(pool, 3, { project_id: project });
    const order = [];
    for (let round = 0; round < 5; round += 1) {
      const lease = await queue.lease(worker);
      order.push(lease.task_id === id);
      await queue.finish(lease);
    }
    expect(order.indexOf(true)).toBeLessThan(3);
  });

  it("is at once claimable again after progress: new sub-tasks, sub-tasks that ended, or a reported fraction", async () => {
    const id = await orchestrator();
    const child = { params: { orchestrator_task_id_ref: id }, pool: await queue.newPool() };
    const handBack = async () => {
      await endDelay(id);
      await count();
      const lease = await queue.lease(worker);
      return async (work: () => Promise<unknown>) => {
        await work();
        await queue.release(lease);
        return (await delay(id)).hand_backs;
      };
    };
    const nothing = () => Promise.resolve();
    const addChild = () =>
      queue.rows("insert into tasks (task_type, params, pool) values ('vace', $1, $2)", [child.params, child.pool]);
    const endChild = () => queue.rows("update tasks set status = 'Complete' where parent_id = $1", [id]);
    expect(await (await handBack())(nothing)).toBe(1);
    expect(await (await handBack())(nothing)).toBe(2);
    expect(await (await handBack())(addChild)).toBe(0);
    expect((await delay(id)).gate).toBe("open");
    expect(await (await handBack())(nothing)).toBe(1);
    expect(await (await handBack())(nothing)).toBe(2);
    expect(await (await handBack())(endChild)).toBe(0);
    expect(await (await handBack())(nothing)).toBe(1);
    const running = await queue.addTask(pool, { priority: 9 });
    const lease = await queue.lease(worker);
    await queue.call("report_progress", { ...leaseArgs(lease), p_progress: 0.4 });
    await queue.release(lease);
    expect(await delay(running)).toMatchObject({ gate: "open", hand_backs: 0 });
  });

  it("is delayed also where a direct write puts it back, and its place in its project's limit is free meanwhile", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const id = await orchestrator({ project_id: project, priority: 1 });
    const next = await queue.addTask(pool, { project_id: project });
    const session = await queue.session();
    await session.rows("set role service_role");
    for (const sec of [null, 5]) {
      expect((await queue.lease(worker)).task_id).toBe(id);
      await session.rows("update tasks set status = 'Queued' where id = $1", [id]);
      expect((await delay(id)).sec).toBe(sec);
    }
    const claim = "update tasks set status = 'In Progress', worker_id = $2 where id = $1";
    await expect(session.rows(claim, [id, worker])).rejects.toMatchObject({
      message: expect.stringContaining("it is delayed: its workers handed it back without progress"),
    });
    expect(await queue.task(next)).toMatchObject({ gate: "open" });
    await endDelay(id);
    await count();
    expect(await delay(id)).toMatchObject({ gate: "held" });
    await queue.finish(await queue.lease(worker));
    expect(await delay(id)).toMatchObject({ gate: "open" });
  });

  it("is kept by a worker that is draining, and by one that claims again after it has created sub-tasks", async () => {
    const id = await orchestrator();
    const lease = await queue.lease(worker);
    await queue.rows("update workers set status = 'terminating' where id = $1", [worker]);
    expect((await queue.claim(worker)).task).toMatchObject({ lease_token: lease.lease_token });
    await queue.rows("update workers set status = 'active' where id = $1", [worker]);
    await queue.addTask(pool, { params: { orchestrator_task_id_ref: id } });
    expect((await queue.claim(worker)).task).toMatchObject({ task_id: id, lease_token: lease.lease_token });
  });
});
