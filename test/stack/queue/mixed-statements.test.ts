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

/** How many queued tasks of a project have each gate, e.g. { open: 2, held: 8 }. */
async function standing(project: string) {
  const rows = await queue.rows<{ place: string; n: number }>(
    `select case when status = 'Queued' then gate else status end as place, count(*)::int as n
     from tasks where project_id = $1 group by 1`,
    [project],
  );
  return Object.fromEntries(rows.map(({ place, n }) => [place, n]));
}

describe("one statement with tasks of a limited project and tasks that wait", () => {
  it("opens what the limit has room for, and counts what was open before", async () => {
    const project = await queue.newProject({ max_running: 2 });
    await queue.addTask(pool, { project_id: project });
    await queue.addTasks(pool, 3, { project_id: project });
    expect(await standing(project)).toEqual({ open: 2, held: 2 });
  });

  it("gives the room to its tasks of the highest priority", async () => {
    const project = await queue.newProject({ max_running: 2 });
    await queue.rows(
      `insert into tasks (task_type, pool, project_id, priority)
       select 'generate_video', $1, $2, priority from unnest(array[0, 1, 0, 1]) as p (priority)`,
      [pool, project],
    );
    const open = "select priority from tasks where project_id = $1 and gate = 'open'";
    expect(await queue.rows(open, [project])).toEqual([{ priority: 1 }, { priority: 1 }]);
  });

  it("does not deadlock with the end of the task that is waited for", async () => {
    const project = await queue.newProject({ max_running: 3 });
    const awaited = await queue.addTask(pool, { project_id: project });
    const lease = await queue.lease(await queue.newWorker(pool));
    expect(lease.task_id).toBe(awaited);
    const worker = await queue.session();
    const submitter = await queue.session();
    await worker.rows("begin");
    await worker.rows("update tasks set priority = priority where id = $1", [awaited]);
    const added = submitter.rows(
      `insert into tasks (task_type, pool, project_id, dependant_on)
       select 'generate_video', $1, $2, awaited from unnest(array[null, $3::uuid]) as a (awaited)`,
      [pool, project, awaited],
    );
    await queue.untilBlocked(submitter);
    await worker.rows("update tasks set status = 'Complete' where id = $1", [awaited]);
    await worker.rows("commit");
    await added;
    expect(await standing(project)).toEqual({ Complete: 1, open: 2 });
  });

  it("locks the projects in one order, whatever the order of its rows", async () => {
    const projects = [
      await queue.newProject({ max_running: 1 }),
      await queue.newProject({ max_running: 1 }),
    ].toSorted();
    const [first, second] = projects as [string, string];
    const operator = await queue.session();
    const submitters = [await queue.session(), await queue.session()];
    await operator.rows("begin");
    await operator.rows("select from projects where id = $1 for no key update", [first]);
    const added = [projects, projects.toReversed()].map((order, n) =>
      submitters[n]!.rows(
        `insert into tasks (task_type, pool, project_id) select 'generate_video', $1, id from unnest($2::uuid[]) as p (id)`,
        [pool, order],
      ),
    );
    await Promise.all(submitters.map((submitter) => queue.untilBlocked(submitter)));
    // Neither holds the second project while it waits for the first.
    await operator.rows("select from projects where id = $1 for no key update nowait", [second]);
    await operator.rows("commit");
    await Promise.all(added);
    expect([await standing(first), await standing(second)]).toEqual([
      { open: 1, held: 1 },
      { open: 1, held: 1 },
    ]);
  });
});
