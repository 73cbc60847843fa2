import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClaimedTask, leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

describe("deleting rows", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const remove = (...ids: string[]) => queue.rows("delete from tasks where id = any ($1)", [ids]);
  const orchestrate = async (count: number) => {
    const worker = await queue.newWorker(pool);
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator" });
    const lease = await queue.lease(worker);
    const params = { orchestrator_task_id_ref: parent };
    const sub = await queue.addTasks(pool, count, { params });
    await queue.call("delegate_task", leaseArgs(lease));
    return { worker, parent, sub };
  };
  const complete = (id: string, output: string | null = null) =>
    queue.rows("update tasks set status = 'Complete', output_location = $2 where id = $1", [id, output]);

  it("lets a task whose last unfinished sub-task is deleted end as the others did", async () => {
    for (const how of ["Complete", "Failed"]) {
      const { parent, sub } = await orchestrate(2);
      await queue.rows("update tasks set status = $2 where id = $1", [sub[0], how]);
      expect(await queue.task(parent)).toMatchObject({ status: "In Progress" });
      await remove(sub[1]!);
      expect(await queue.task(parent)).toMatchObject({ status: how });
    }
  });

  it("lets it wait while another sub-task is unfinished, and fails it when all are deleted, one by one or at once", async () => {
    const one = await orchestrate(2);
    await remove(one.sub[0]!);
    expect(await queue.task(one.parent)).toMatchObject({ status: "In Progress" });
    await remove(one.sub[1]!);
    const failed = { status: "Failed", error_message: expect.stringContaining("sub-tasks were deleted") };
    expect(await queue.task(one.parent)).toMatchObject(failed);
    const two = await orchestrate(3);
    await remove(...two.sub);
    expect(await queue.task(two.parent)).toMatchObject(failed);
  });

  it("deletes an orchestrator task with all its sub-tasks at once, and cancels the sub-tasks that are left", async () => {
    const whole = await orchestrate(2);
    await remove(whole.parent, ...whole.sub);
    const half = await orchestrate(2);
    await complete(half.sub[0]!);
    await remove(half.parent);
    expect(await queue.task(half.sub[0]!)).toMatchObject({ status: "Complete" });
    expect(await queue.task(half.sub[1]!)).toMatchObject({
      status: "Cancelled",
      error_message: `its orchestrator task ${half.parent} was deleted`,
    });
  });

  it("does not deadlock where an orchestrator task is deleted while its sub-task ends", async () => {
    const { parent, sub, worker } = await orchestrate(1);
    const lease = await queue.lease(worker);
    const [deleting, ending] = [await queue.session(), await queue.session()];
    await ending.rows("begin");
    await ending.rows("select from tasks where id = $1 for no key update", [sub[0]]);
    await deleting.rows("begin");
    await deleting.rows("delete from tasks where id = $1", [parent]);
    const ended = ending.call("finish_task", {
      ...leaseArgs(lease),
      p_storage_path: null,
      p_output_location: null,
      p_result: {},
    });
    await queue.untilBlocked(ending);
    await deleting.rows("commit");
    expect(await ended).toEqual({ outcome: "completed" });
    await ending.rows("commit");
  });

  it("gives the place of an open or running task in its project's limit to the next one", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const [first, second, third, fourth] = await queue.addTasks(pool, 4, { project_id: project });
    await remove(first!);
    expect(await queue.task(second!)).toMatchObject({ gate: "open" });
    expect(await queue.task(third!)).toMatchObject({ gate: "held" });
    const lease = await queue.lease(await queue.newWorker(pool));
    expect(lease.task_id).toBe(second);
    await remove(second!, third!);
    expect(await queue.task(fourth!)).toMatchObject({ gate: "open" });
  });

  it("fails what waits for a deleted task, and what waits for that, and ends their orchestrator task", async () => {
    const { parent, sub } = await orchestrate(1);
    const params = { orchestrator_task_id_ref: parent };
    const [child] = await queue.addTasks(pool, 1, { params, dependant_on: sub[0] });
    const [grandchild] = await queue.addTasks(pool, 1, { params, dependant_on: child });
    await remove(sub[0]!);
    expect(await queue.task(child!)).toMatchObject({
      status: "Failed",
      dependant_on: null,
      error_message: `depends on task ${sub[0]}, which was deleted`,
    });
    expect(await queue.task(grandchild!)).toMatchObject({ status: "Failed" });
    expect(await queue.task(parent)).toMatchObject({ status: "Failed" });
  });

  it("deletes a whole chain at once, and an ended task that ended ones had waited for", async () => {
    const chain = [await queue.addTask(pool)];
    for (const _ of [1, 2, 3]) {
      chain.push(await queue.addTask(pool, { dependant_on: chain.at(-1) }));
    }
    await remove(...chain);
    const old = await queue.addTask(pool, { status: "Complete" });
    const later = await queue.addTask(pool, { dependant_on: old });
    await complete(later);
    await remove(old);
    expect(await queue.task(later)).toMatchObject({ status: "Complete", dependant_on: null });
  });

  it("keeps a task whose result an unfinished task still uses, and names that one", async () => {
    const old = await queue.addTask(pool, { status: "Complete" });
    const user = await queue.addTask(pool, { dependant_on: old });
    const refusal = {
      code: "PT409",
      message: expect.stringContaining(`task ${user}, which is Queued, uses its result`),
    };
    await expect(remove(old)).rejects.toMatchObject(refusal);
    await remove(old, user);
  });

  it.each(["cascade", "set null", "restrict"])(
    "does the same where an adopted table's key says on delete %s",
    async (action) => {
      const session = await queue.session();
      await session.rows("begin");
      await session.rows(`alter table tasks drop constraint tasks_dependant_on_fkey, add constraint tasks_old_key
        foreign key (dependant_on) references tasks (id) on delete ${action}`);
      const add = async (before: string | null) => {
        const added = await session.rows<{ id: string }>(
          "insert into tasks (task_type, pool, dependant_on) values ('vace', $1, $2) returning id",
          [pool, before],
        );
        return added[0]!.id;
      };
      const first = await add(null);
      const second = await add(first);
      await session.rows("delete from tasks where id = $1", [first]);
      const [row] = await session.rows("select status, dependant_on from tasks where id = $1", [second]);
      expect(row).toEqual({ status: "Failed", dependant_on: null });
      await session.rows("rollback");
    },
  );

  it("frees the worker of a running task, whose later calls are answered that the lease is lost", async () => {
    const worker = await queue.newWorker(pool);
    const gone = await queue.addTask(pool);
    const next = await queue.addTask(pool);
    const lease = await queue.lease(worker);
    await remove(gone);
    expect(await queue.journalOf(worker)).toContain("task.deleted");
    expect(await queue.finish(lease)).toBe("lease_lost");
    expect(await queue.fail(lease, "no")).toBe("lease_lost");
    expect(await queue.release(lease)).toBe("lease_lost");
    const progress = { ...leaseArgs(lease), p_progress: 0.5 };
    expect(await queue.call("report_progress", progress)).toEqual({ held: false });
    expect(await queue.call("authorize_upload", leaseArgs(lease))).toMatchObject({ allowed: false });
    expect((await queue.lease(worker)).task_id).toBe(next);
  });

  it("keeps an open attempt, also from a truncation, and lets ended ones go, whose workers stay", async () => {
    const task = await queue.addTask(pool);
    const worker = await queue.newWorker(pool, { origin: "external" });
    await queue.release(await queue.lease(worker));
    const lease = await queue.lease(await queue.newWorker(pool));
    await expect(queue.rows("delete from task_attempts where task_id = $1", [task])).rejects.toThrow(/task_attempts/);
    const forget = () => queue.rows("delete from workers where id = $1", [worker]);
    await expect(forget()).rejects.toMatchObject({ code: "23503" });
    await queue.rows("truncate ended_attempts");
    await forget();
    expect(await queue.rows("select attempt, ended_at from task_attempts where task_id = $1", [task])).toEqual([
      { attempt: 2, ended_at: null },
    ]);
    expect(await queue.finish(lease)).toBe("completed");
  });

  it("keeps a worker that a task names whose attempts are forgotten", async () => {
    const worker = await queue.newWorker(pool, { origin: "external" });
    const task = await queue.addTask(pool);
    await queue.fail(await queue.lease(worker), "no", true);
    await queue.rows("delete from ended_attempts where task_id = $1", [task]);
    const forget = () => queue.rows("delete from workers where id = $1", [worker]);
    await expect(forget()).rejects.toMatchObject({ code: "23503" });
    await queue.rows("delete from tasks where id = $1", [task]);
    await forget();
  });

  it("never deletes the id of the deployment, by which pods and workflows are known", async () => {
    const session = await queue.session();
    await session.rows("set role service_role");
    await expect(session.rows("delete from deployment where is_only")).rejects.toMatchObject({ code: "PT409" });
    expect(await session.rows("select id from deployment")).toHaveLength(1);
  });

  it("lets no program write a task that names a worker which is not registered", async () => {
    const session = await queue.session();
    await session.rows("set role service_role");
    const insert = "insert into tasks (task_type, pool, status, worker_id) values ('vace', $1, 'Complete', 'nobody')";
    await expect(session.rows(insert, [pool])).rejects.toMatchObject({
      code: "23503",
      message: "worker_id: worker nobody is not registered",
    });
  });

  it.each(["cascade", "set null"])(
    "keeps a worker that holds a task or has completed one, also where an adopted table's key says on delete %s",
    async (action) => {
      const session = await queue.session();
      await session.rows("begin");
      try {
        await session.rows(`alter table tasks add constraint tasks_old_key
          foreign key (worker_id) references workers (id) on delete ${action}`);
        const worker = `${pool}-holder-${action.slice(0, 3)}`;
        const columns = "(id, pool, status, origin) values ($1, $2, 'active', 'external')";
        await session.rows(`insert into workers ${columns}`, [worker, pool]);
        await session.rows("insert into tasks (task_type, pool) values ('vace', $1)", [pool]);
        const { task } = await session.call<{ task: ClaimedTask }>("claim_task", { p_worker_id: worker });
        const isKept = async () => {
          await session.rows("savepoint held");
          await expect(session.rows("delete from workers where id = $1", [worker])).rejects.toMatchObject({
            code: "23503",
            message: `worker ${worker} cannot be deleted: attempts or tasks name it`,
          });
          await session.rows("rollback to held");
        };
        await isKept();
        const nothing = { p_storage_path: null, p_output_location: null, p_result: {} };
        expect(await session.call("finish_task", { ...leaseArgs(task), ...nothing })).toEqual({ outcome: "completed" });
        await isKept();
      } finally {
        await session.rows("rollback");
      }
    },
  );

  it("deletes a project with its tasks where the key of an adopted table cascades, but never the default project", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const session = await queue.session();
    await session.rows("begin");
    await session.rows(`alter table tasks drop constraint tasks_project_id_fkey, add constraint tasks_old_key
      foreign key (project_id) references projects (id) on delete cascade`);
    const insert = "insert into tasks (task_type, pool, project_id) select 'vace', $1, $2 from generate_series(1, 3)";
    await session.rows(insert, [pool, project]);
    await session.rows("delete from projects where id = $1", [project]);
    expect(await session.rows("select from tasks where project_id = $1", [project])).toEqual([]);
    await session.rows("rollback");
    const zero = "00000000-0000-0000-0000-000000000000";
    await expect(queue.rows("delete from projects where id = $1", [zero])).rejects.toMatchObject({ code: "PT409" });
    await queue.addTask(pool, { project_id: project });
    await expect(queue.rows("delete from projects where id = $1", [project])).rejects.toMatchObject({ code: "23503" });
  });
});
