import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClaimedTask, leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

describe("sub-tasks that would wait in a circle", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const circle = (...ids: string[]) => ({
    code: "PT400",
    message: expect.stringMatching(new RegExp(ids.map((id) => `(?=.*${id})`).join(""))),
  });
  const orchestrate = async () => {
    const worker = await queue.newWorker(pool);
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator" });
    return { parent, lease: await queue.lease(worker) };
  };
  const delegate = (lease: ClaimedTask, subTasks: readonly object[] | null) =>
    queue.call<{ outcome: string }>("delegate_task", {
      ...leaseArgs(lease),
      p_sub_tasks:
        subTasks && JSON.stringify(subTasks.map((each) => ({ task_type: "travel_segment", params: {}, ...each }))),
      p_result_task_id: null,
    });
  const addSub = (parent: string, columns: Readonly<Record<string, unknown>>) =>
    queue.addTask(pool, { params: JSON.stringify({ orchestrator_task_id_ref: parent }), ...columns });
  const change = (id: string, to: string) => queue.rows("update tasks set dependant_on = $2 where id = $1", [id, to]);

  it("are refused where one waits for the last one, which waits for all its siblings, whichever comes first", async () => {
    const { lease } = await orchestrate();
    const [a, b, last] = [randomUUID(), randomUUID(), randomUUID()];
    const behind = [
      { id: a, dependant_on: last },
      { id: b, dependant_on: a },
    ];
    const ofLast = { id: last, after_siblings: true };
    await expect(delegate(lease, [ofLast, ...behind])).rejects.toMatchObject(circle(a, last));
    await expect(delegate(lease, [...behind, ofLast])).rejects.toMatchObject(circle(a, last));
    expect(await queue.rows("select 1 from tasks where pool = $1", [pool])).toHaveLength(1);
  });

  it("are refused when they are added or changed later, also over a task that is no sub-task", async () => {
    const { parent, lease } = await orchestrate();
    const [a, last] = [randomUUID(), randomUUID()];
    await delegate(lease, [{ id: a }, { id: last, after_siblings: true }]);
    await expect(change(a, last)).rejects.toMatchObject(circle(a, last));
    await expect(addSub(parent, { dependant_on: last })).rejects.toMatchObject(circle(last));
    const other = await queue.addTask(pool, { dependant_on: last });
    await expect(change(a, other)).rejects.toMatchObject(circle(a, other, last));
    await expect(addSub(parent, { dependant_on: other })).rejects.toMatchObject(circle(other, last));
    await addSub(parent, { dependant_on: a });
    expect(await queue.task(other)).toMatchObject({ status: "Queued", gate: "blocked" });
  });

  it("are refused where one waits for its orchestrator task, which waits already, also over other tasks", async () => {
    const { parent, lease } = await orchestrate();
    const [a] = [randomUUID()];
    const other = await queue.addTask(pool, { dependant_on: parent });
    await delegate(lease, [{ id: a }]);
    await expect(addSub(parent, { dependant_on: parent })).rejects.toMatchObject(circle(parent));
    await expect(addSub(parent, { dependant_on: other })).rejects.toMatchObject(circle(parent, other));
    await expect(change(a, other)).rejects.toMatchObject(circle(a, other, parent));
  });

  it("fail when their orchestrator task begins to wait for them, also over other tasks and orchestrator tasks", async () => {
    const { parent, lease } = await orchestrate();
    const other = await queue.addTask(pool, { dependant_on: parent });
    const inner = await addSub(parent, { task_type: "join_clips_orchestrator" });
    const innerLease = await queue.lease(await queue.newWorker(pool));
    expect(innerLease.task_id).toBe(inner);
    const innerSub = await addSub(inner, { dependant_on: other });
    await delegate(innerLease, null);
    expect(await queue.task(innerSub)).toMatchObject({ status: "Queued", gate: "blocked" });
    const behind = await addSub(parent, { dependant_on: other });
    await delegate(lease, null);
    expect(await queue.task(behind)).toMatchObject({
      status: "Failed",
      error_message: expect.stringContaining(`depends on its own orchestrator task ${parent}`),
    });
    const ended = await queue.rows("select id from tasks where pool = $1 and status in ('Queued', 'In Progress')", [
      pool,
    ]);
    expect(ended).toEqual([]);
  });

  it("do not keep a long chain of sub-tasks from being written", async () => {
    const { lease } = await orchestrate();
    const ids = Array.from({ length: 200 }, () => randomUUID());
    const chain = ids.map((id, place) => ({ id, dependant_on: ids[place - 1] ?? null }));
    expect(await delegate(lease, [{ id: randomUUID(), after_siblings: true }, ...chain])).toEqual({
      outcome: "delegated",
    });
  });
});
