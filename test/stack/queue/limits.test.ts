import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

function change(project: string, limits: { max_running?: number | null; paused?: boolean }) {
  const names = Object.keys(limits).map((name, index) => `${name} = $${index + 2}`);
  return queue.rows(`update projects set ${names.join(", ")} where id = $1`, [project, ...Object.values(limits)]);
}

/** How many queued tasks of a project have each gate, e.g. { open: 2, held: 8 }. */
async function standing(project: string) {
  const rows = await queue.rows<{ place: string; n: number }>(
    `select case when status = 'Queued' then gate else status end as place, count(*)::int as n
     from tasks where project_id = $1 group by 1`,
    [project],
  );
  return Object.fromEntries(rows.map(({ place, n }) => [place, n]));
}

describe("the limit of a project", () => {
  it("opens at the insert as many tasks as may run, and holds the rest", async () => {
    const project = await queue.newProject({ max_running: 2 });
    await queue.addTasks(pool, 10, { project_id: project });
    expect(await standing(project)).toEqual({ open: 2, held: 8 });
  });

  it("counts within one statement too, and leaves other projects alone", async () => {
    const project = await queue.newProject({ max_running: 3 });
    const other = await queue.newProject();
    await queue.rows(
      "insert into tasks (task_type, pool, project_id) select 'generate_video', $1, unnest(array[$2, $3]::uuid[]) from generate_series(1, 20)",
      [pool, project, other],
    );
    expect(await standing(project)).toEqual({ open: 3, held: 17 });
    expect(await standing(other)).toEqual({ open: 20 });
  });

  it("gives the place of every ended task to the next one in the queue, however it ended", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const ids = await queue.addTasks(pool, 4, { project_id: project });
    const worker = await queue.newWorker(pool);
    await queue.finish(await queue.lease(worker));
    expect(await standing(project)).toEqual({ Complete: 1, open: 1, held: 2 });
    await queue.fail(await queue.lease(worker), "bad params", true);
    expect(await standing(project)).toEqual({ Complete: 1, Failed: 1, open: 1, held: 1 });
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [ids[2]]);
    expect(await standing(project)).toEqual({ Complete: 1, Failed: 1, Cancelled: 1, open: 1 });
    expect((await queue.lease(worker)).task_id).toBe(ids[3]);
  });

  it("keeps the place of a task that goes back to the queue", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const [first] = await queue.addTasks(pool, 3, { project_id: project });
    const worker = await queue.newWorker(pool);
    await queue.release(await queue.lease(worker));
    expect(await standing(project)).toEqual({ open: 1, held: 2 });
    expect((await queue.lease(worker)).task_id).toBe(first);
  });

  it("opens more when it is raised and all when it is removed, and holds tasks again when it is lowered", async () => {
    const project = await queue.newProject({ max_running: 2 });
    await queue.addTasks(pool, 10, { project_id: project });
    await change(project, { max_running: 5 });
    expect(await standing(project)).toEqual({ open: 5, held: 5 });
    await change(project, { max_running: null });
    expect(await standing(project)).toEqual({ open: 10 });
    await change(project, { max_running: 3 });
    expect(await standing(project)).toEqual({ open: 3, held: 7 });
  });

  it("that is lowered below the number of running tasks opens none until enough have ended", async () => {
    const project = await queue.newProject({ max_running: 4 });
    await queue.addTasks(pool, 8, { project_id: project });
    const leases = [];
    for (const worker of await queue.newWorkers(pool, 4)) {
      leases.push(await queue.lease(worker));
    }
    await change(project, { max_running: 2 });
    expect(await standing(project)).toEqual({ "In Progress": 4, held: 4 });
    for (const [ended, expected] of [0, 0, 1, 2].entries()) {
      await queue.finish(leases[ended]!);
      expect((await standing(project))["open"] ?? 0).toBe(expected);
    }
  });

  it("that was lowered while tasks ran also holds those that come back to the queue", async () => {
    const project = await queue.newProject({ max_running: 3 });
    await queue.addTasks(pool, 3, { project_id: project });
    const leases = [];
    for (const worker of await queue.newWorkers(pool, 3)) {
      leases.push(await queue.lease(worker));
    }
    await change(project, { max_running: 1 });
    for (const lease of leases) {
      await queue.release(lease);
    }
    expect(await standing(project)).toEqual({ open: 1, held: 2 });
  });

  it("opens the next task by priority, then by place in the queue", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const [running, second] = await queue.addTasks(pool, 2, { project_id: project });
    const urgent = await queue.addTask(pool, { project_id: project, priority: 5 });
    const worker = await queue.newWorker(pool);
    const order = [];
    for (let i = 0; i < 3; i += 1) {
      const lease = await queue.lease(worker);
      order.push(lease.task_id);
      await queue.finish(lease);
    }
    expect(order).toEqual([running, urgent, second]);
  });

  it("is never exceeded by sixteen workers at once, and every task is completed in the end", async () => {
    const project = await queue.newProject({ max_running: 5 });
    await queue.addTasks(pool, 200, { project_id: project });
    const inProgress = "select count(*)::int as n from tasks where project_id = $1 and status = 'In Progress'";
    let most = 0;
    let left = 200;
    const work = async (worker: string) => {
      while (left > 0) {
        const { task } = await queue.claim(worker);
        if (task === null) {
          await pause(2);
          continue;
        }
        most = Math.max(most, (await queue.one<{ n: number }>(inProgress, [project])).n);
        expect(await queue.finish(task)).toBe("completed");
        left -= 1;
      }
    };
    await Promise.all((await queue.newWorkers(pool, 16)).map(work));
    expect(await standing(project)).toEqual({ Complete: 200 });
    expect(most).toBe(5);
  });
});

describe("the pause of a project", () => {
  it("holds queued and new tasks, lets running ones end, and opens all when it is lifted", async () => {
    const project = await queue.newProject();
    await queue.addTasks(pool, 3, { project_id: project });
    const worker = await queue.newWorker(pool);
    const lease = await queue.lease(worker);
    await change(project, { paused: true });
    await queue.addTask(pool, { project_id: project });
    expect(await standing(project)).toEqual({ "In Progress": 1, held: 3 });
    expect(await queue.finish(lease)).toBe("completed");
    expect((await queue.claim(worker)).task).toBeNull();
    await change(project, { paused: false });
    expect(await standing(project)).toEqual({ Complete: 1, open: 3 });
  });

  it("holds a running task that is released during the pause", async () => {
    const project = await queue.newProject();
    await queue.addTask(pool, { project_id: project });
    const worker = await queue.newWorker(pool);
    const lease = await queue.lease(worker);
    await change(project, { paused: true });
    await queue.release(lease);
    expect((await queue.claim(worker)).task).toBeNull();
    await change(project, { paused: false });
    expect((await queue.lease(worker)).task_id).toBe(lease.task_id);
  });

  it("leaves the limit in force when it is lifted", async () => {
    const project = await queue.newProject({ max_running: 2, paused: true });
    await queue.addTasks(pool, 5, { project_id: project });
    expect(await standing(project)).toEqual({ held: 5 });
    await change(project, { paused: false });
    expect(await standing(project)).toEqual({ open: 2, held: 3 });
  });

  it("that ends together with the limit while a parent completes leaves no child's gate closed", async () => {
    const project = await queue.newProject({ paused: true });
    const parent = await queue.addTask(pool);
    const child = await queue.addTask(pool, { dependant_on: parent, project_id: project });
    const operator = await queue.session();
    const worker = await queue.session();
    await operator.rows("begin");
    await operator.rows("update projects set paused = false where id = $1", [project]);
    const completion = worker.rows("update tasks set status = 'Complete' where id = $1", [parent]);
    await queue.untilBlocked(worker);
    await operator.rows("commit");
    await completion;
    expect(await queue.task(child)).toMatchObject({ status: "Queued", gate: "open" });
  });
});

describe("a limit or pause that is set at the same moment", () => {
  it("as an insert holds the inserted task", async () => {
    const project = await queue.newProject();
    const submitter = await queue.session();
    const operator = await queue.session();
    await submitter.rows("begin");
    await submitter.rows(
      "insert into tasks (task_type, pool, project_id) select 'generate_video', $1, $2 from generate_series(1, 3)",
      [pool, project],
    );
    const limited = operator.rows("update projects set max_running = 1 where id = $1", [project]);
    await queue.untilBlocked(operator);
    await submitter.rows("commit");
    await limited;
    expect(await standing(project)).toEqual({ open: 1, held: 2 });
  });

  it("as a completion lets the next task run", async () => {
    const project = await queue.newProject();
    await queue.addTasks(pool, 2, { project_id: project });
    const lease = await queue.lease(await queue.newWorker(pool));
    const worker = await queue.session();
    const operator = await queue.session();
    await worker.rows("begin");
    await worker.rows("update tasks set status = 'Complete' where id = $1", [lease.task_id]);
    const limited = operator.rows("update projects set max_running = 1 where id = $1", [project]);
    await queue.untilBlocked(operator);
    await worker.rows("commit");
    await limited;
    expect(await standing(project)).toEqual({ Complete: 1, open: 1 });
  });

  it("as a parent's completion holds the child", async () => {
    const project = await queue.newProject();
    const parent = await queue.addTask(pool);
    const child = await queue.addTask(pool, { dependant_on: parent, project_id: project });
    const worker = await queue.session();
    const operator = await queue.session();
    await worker.rows("begin");
    await worker.rows("update tasks set status = 'Complete' where id = $1", [parent]);
    const paused = operator.rows("update projects set paused = true where id = $1", [project]);
    await queue.untilBlocked(operator);
    await worker.rows("commit");
    await paused;
    expect(await queue.task(child)).toMatchObject({ gate: "held" });
  });

  it("as a hundred inserts by ten clients causes no deadlock and opens no task too many", async () => {
    const project = await queue.newProject();
    const submit = async () => void (await queue.addTasks(pool, 10, { project_id: project }));
    const clients = Array.from({ length: 10 }, submit);
    for (const limit of [1, null, 2, null, 3]) {
      await change(project, { max_running: limit });
    }
    await Promise.all(clients);
    expect(await standing(project)).toEqual({ open: 3, held: 97 });
  });

  it("again and again as single inserts causes no deadlock", async () => {
    const project = await queue.newProject();
    let changing = true;
    const clients = Array.from({ length: 4 }, async () => {
      while (changing) {
        await queue.addTask(pool, { project_id: project });
      }
    });
    for (let round = 0; round < 40; round++) {
      await change(project, { max_running: round % 2 === 0 ? 1 : null });
    }
    changing = false;
    await Promise.all(clients);
    expect(await standing(project)).toEqual({ open: expect.any(Number) });
  });
});

describe("the cancelling of a held task", () => {
  it("waits for no lock of its project, so that it cannot deadlock with a completion", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const ids = await queue.addTasks(pool, 3, { project_id: project });
    const completion = await queue.session();
    const user = await queue.session();
    await completion.rows("begin");
    await completion.rows("select 1 from projects where id = $1 for no key update", [project]);
    await user.rows("set lock_timeout = '10s'");
    await user.rows("update tasks set status = 'Cancelled' where id = $1", [ids[2]]);
    await completion.rows("rollback");
    expect(await standing(project)).toEqual({ open: 1, held: 1, Cancelled: 1 });
  });
});
