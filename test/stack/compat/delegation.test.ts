import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClaimedTask, leaseArgs, openQueue, type Queue, type Session } from "../../kit/queue.ts";

describe("an orchestrator's task whose sub-tasks run", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const children = (parent: string, count: number, columns: Readonly<Record<string, unknown>> = {}) =>
    queue.addTasks(pool, count, { params: { orchestrator_task_id_ref: parent }, ...columns });
  const delegate = async (lease: ClaimedTask, more: object = {}) =>
    (await queue.call<{ outcome: string }>("delegate_task", { ...leaseArgs(lease), ...more })).outcome;
  const orchestrate = async (count: number, columns: Readonly<Record<string, unknown>> = {}) => {
    const worker = await queue.newWorker(pool);
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator", ...columns });
    const lease = await queue.lease(worker);
    expect(lease.task_id).toBe(parent);
    return { worker, parent, lease, sub: await children(parent, count, columns) };
  };
  const finish = (lease: ClaimedTask, output: string | null = null) =>
    queue.rows("select func_mark_task_complete($1, $2, $3)", [
      lease.task_id,
      output === null ? {} : { video_url: output },
      lease.lease_token,
    ]);

  it("holds no worker, stays In Progress, and its attempt ended as delegated without counting", async () => {
    const { worker, parent, lease, sub } = await orchestrate(2);
    expect(await delegate(lease)).toBe("delegated");
    expect(await delegate(lease)).toBe("delegated");
    expect(await queue.task(parent)).toMatchObject({ status: "In Progress", worker_id: null, attempts: 0 });
    const attempts = await queue.rows("select cause from task_attempts where task_id = $1", [parent]);
    expect(attempts).toEqual([{ cause: "delegated" }]);
    const seen = await queue.call<{ fleet: { id: string; task: unknown }[] }>("pool_observe", {
      p_pool: pool,
      p_known_fleet: null,
      p_full: true,
      p_poll_sec: 30,
    });
    expect(seen.fleet.find(({ id }) => id === worker)?.task).toBeNull();
    const first = await queue.lease(worker);
    expect(sub).toContain(first.task_id);
    await finish(first, "https://files.example/1.mp4");
    expect(await queue.task(parent)).toMatchObject({ status: "In Progress" });
    await finish(await queue.lease(worker), "https://files.example/2.mp4");
    expect(await queue.task(parent)).toMatchObject({
      status: "Complete",
      output_location: "https://files.example/2.mp4",
      result_data: { result_task_id: sub[1] },
    });
  });

  it("gets the output of the sub-task that it named", async () => {
    const { worker, parent, lease, sub } = await orchestrate(2);
    const strange = await queue.addTask(pool, { priority: -1 });
    await expect(delegate(lease, { p_result_task_id: strange })).rejects.toThrow(/p_result_task_id: .*no sub-task/);
    expect(await delegate(lease, { p_result_task_id: sub[0] })).toBe("delegated");
    await finish(await queue.lease(worker), "https://files.example/first.mp4");
    await finish(await queue.lease(worker), "https://files.example/second.mp4");
    expect(await queue.task(parent)).toMatchObject({
      status: "Complete",
      output_location: "https://files.example/first.mp4",
    });
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [strange]);
  });

  it("gets the output of the stitch task that waited for the others, whichever of them was written last", async () => {
    const { worker, parent, lease, sub } = await orchestrate(1);
    const [stitch] = await children(parent, 1, { dependant_on: sub[0] });
    await queue.rows("update tasks set created_at = now() + interval '1 minute' where id = $1", [sub[0]]);
    await delegate(lease);
    await finish(await queue.lease(worker), "https://files.example/segment.mp4");
    const last = await queue.lease(worker);
    expect(last.task_id).toBe(stitch);
    await finish(last, "https://files.example/stitched.mp4");
    expect(await queue.task(parent)).toMatchObject({ output_location: "https://files.example/stitched.mp4" });
  });

  it("fails when the last of them ends if one has failed, and names that one", async () => {
    const { worker, parent, lease, sub } = await orchestrate(2);
    await delegate(lease);
    await queue.fail(await queue.lease(worker), "no such model", true);
    expect(await queue.task(parent)).toMatchObject({ status: "In Progress" });
    await finish(await queue.lease(worker));
    expect(await queue.task(parent)).toMatchObject({
      status: "Failed",
      error_message: expect.stringContaining(`${sub[0]} (generate_video) is Failed: no such model`),
    });
  });

  it("ends at once when its sub-tasks had ended before it was delegated, and not earlier", async () => {
    const { parent, lease } = await orchestrate(1);
    await finish(await queue.lease(await queue.newWorker(pool)), "https://files.example/v.mp4");
    expect(await queue.task(parent)).toMatchObject({ status: "In Progress" });
    await delegate(lease);
    expect(await queue.task(parent)).toMatchObject({
      status: "Complete",
      output_location: "https://files.example/v.mp4",
    });
  });

  it("keeps its lease when there is no sub-task, and cannot be delegated with a lease that ended", async () => {
    const { lease } = await orchestrate(0);
    expect(await delegate(lease)).toBe("no_children");
    expect(await queue.finish(lease)).toBe("completed");
    expect(await delegate(lease)).toBe("lease_lost");
  });

  it("fails a sub-task that depends on it, because each would wait for the other", async () => {
    const { parent, lease } = await orchestrate(0);
    const [child] = await children(parent, 1, { dependant_on: parent });
    await delegate(lease);
    expect(await queue.task(child!)).toMatchObject({
      status: "Failed",
      error_message: expect.stringContaining(parent),
    });
    expect(await queue.task(parent)).toMatchObject({ status: "Failed" });
  });

  it("is completed once when its last two sub-tasks end at the same time", async () => {
    const { parent, lease } = await orchestrate(2);
    await delegate(lease);
    const [a, b] = [await queue.lease(await queue.newWorker(pool)), await queue.lease(await queue.newWorker(pool))];
    const [one, two] = [await queue.session(), await queue.session()];
    const end = { p_storage_path: null, p_output_location: null, p_result: {} };
    await one.rows("begin");
    await one.call("finish_task", { ...leaseArgs(a), ...end });
    const second = two.call("finish_task", { ...leaseArgs(b), ...end });
    await queue.untilBlocked(two);
    await one.rows("commit");
    expect(await second).toEqual({ outcome: "completed" });
    expect(await queue.task(parent)).toMatchObject({ status: "Complete" });
  });

  it("is completed when it is delegated at the same time as its last sub-task ends", async () => {
    for (const delegationFirst of [true, false]) {
      const { parent, lease } = await orchestrate(1);
      const child = await queue.lease(await queue.newWorker(pool));
      const [one, two] = [await queue.session(), await queue.session()];
      const ended = { ...leaseArgs(child), p_storage_path: null, p_output_location: null, p_result: {} };
      const calls = [
        (session: Session) => session.call("delegate_task", leaseArgs(lease)),
        (session: Session) => session.call("finish_task", ended),
      ];
      const [first, second] = delegationFirst ? calls : calls.toReversed();
      await one.rows("begin");
      await first!(one);
      const waiting = second!(two);
      await queue.untilBlocked(two);
      await one.rows("commit");
      await waiting;
      expect(await queue.task(parent)).toMatchObject({ status: "Complete" });
    }
  });

  it("cancels its unfinished sub-tasks when it is cancelled, and later ones are not admitted", async () => {
    const { worker, parent, lease, sub } = await orchestrate(2);
    await delegate(lease);
    const running = await queue.lease(worker);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [parent]);
    for (const id of sub) {
      expect(await queue.task(id)).toMatchObject({
        status: "Cancelled",
        error_message: expect.stringContaining(parent),
      });
    }
    expect(await queue.finish(running)).toBe("lease_lost");
    const [late] = await children(parent, 1);
    expect(await queue.task(late!)).toMatchObject({ status: "Cancelled" });
  });

  it("does not use up its project's limit, so that its sub-tasks can run", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const { worker, parent, lease, sub } = await orchestrate(2, { project_id: project });
    expect((await queue.claim(await queue.newWorker(pool))).task).toBeNull();
    await delegate(lease);
    const first = await queue.lease(worker);
    expect(sub).toContain(first.task_id);
    expect((await queue.claim(await queue.newWorker(pool))).task).toBeNull();
    await finish(first);
    await finish(await queue.lease(worker));
    expect(await queue.task(parent)).toMatchObject({ status: "Complete" });
  });

  it("ends with its last sub-task without waiting for its project's row, even if that sub-task was held", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const { parent, lease } = await orchestrate(0, { project_id: project });
    const other = await queue.addTask(pool, { project_id: project });
    const [child] = await children(parent, 1, { project_id: project });
    await delegate(lease);
    const gates = await queue.rows("select gate from tasks where id = any ($1) order by vtime", [[other, child]]);
    expect(gates).toEqual([{ gate: "open" }, { gate: "held" }]);
    const opener = await queue.session();
    await opener.rows("begin");
    await opener.rows("select from projects where id = $1 for no key update", [project]);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [child]);
    expect(await queue.task(parent)).toMatchObject({ status: "Failed" });
    await opener.rows("commit");
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [other]);
  });

  it("is never the parent of another project's task, or of a task that names no parent", async () => {
    const { parent, lease } = await orchestrate(0);
    const project = await queue.newProject();
    const [foreign] = await children(parent, 1, { project_id: project });
    const named = await queue.addTask(pool, { project_id: project, parent_id: parent });
    const odd = await queue.addTask(pool, { params: { orchestrator_task_id_ref: "run-7" } });
    const rows = await queue.rows("select parent_id from tasks where id = any ($1)", [[foreign, named, odd]]);
    expect(rows).toEqual([{ parent_id: null }, { parent_id: null }, { parent_id: null }]);
    expect(await delegate(lease)).toBe("no_children");
    await queue.rows("update tasks set status = 'Cancelled' where id = any ($1)", [[foreign, named, odd, parent]]);
  });

  it("is delegated by an old worker's report that it is in progress", async () => {
    const { parent, lease } = await orchestrate(1);
    const answer = await queue.call("func_update_task_status", {
      p_table_name: "tasks",
      p_task_id: parent,
      p_status: "In Progress",
      p_output_location: "1 segment queued",
    });
    expect(answer).toEqual({ success: true, outcome: "delegated", status: "In Progress" });
    expect(await queue.finish(lease)).toBe("lease_lost");
  });
});
