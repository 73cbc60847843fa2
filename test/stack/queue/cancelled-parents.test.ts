import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Claim, type ClaimedTask, leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

const CANCEL = "update tasks set status = 'Cancelled' where id = $1";

function segment(taskType = "travel_segment") {
  return { id: randomUUID(), task_type: taskType, params: {} };
}

describe("the sub-tasks of a parent that is cancelled", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const delegate = async (lease: ClaimedTask, subTasks: unknown) => {
    const given = { ...leaseArgs(lease), p_sub_tasks: JSON.stringify(subTasks) };
    expect(await queue.call("delegate_task", given)).toEqual({ outcome: "delegated" });
  };
  const orchestrate = async (columns: Readonly<Record<string, unknown>> = {}) => {
    const worker = await queue.newWorker(pool);
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator", ...columns });
    const lease = await queue.lease(worker);
    expect(lease.task_id).toBe(parent);
    return { worker, parent, lease };
  };
  const cancel = (id: string) => queue.rows(CANCEL, [id]);

  it("end by one statement with those of another graph, in a project with a limit, and nobody waits for ever", async () => {
    const project = await queue.newProject({ max_running: 9 });
    const graphs = [await orchestrate({ project_id: project }), await orchestrate({ project_id: project })];
    const ids: string[] = [];
    for (const { lease } of graphs) {
      const children = [segment(), segment()];
      await delegate(lease, children);
      ids.push(children[0]!.id);
    }
    const [limiting, ending, above] = [await queue.session(), await queue.session(), await queue.session()];
    await limiting.rows("begin");
    await limiting.rows("select from projects where id = $1 for no key update", [project]);
    const ended = ending.rows("update tasks set status = 'Cancelled' where id = any ($1)", [ids]);
    await queue.untilBlocked(ending);
    const parentEnded = above.rows(CANCEL, [graphs[1]!.parent]);
    await queue.untilBlocked(above);
    await limiting.rows("commit");
    await Promise.all([ended, parentEnded]);
    const unfinished = "select id from tasks where project_id = $1 and status = 'Queued'";
    expect(await queue.rows(unfinished, [project])).toHaveLength(1);
    await cancel(graphs[0]!.parent);
    expect(await queue.rows(unfinished, [project])).toEqual([]);
  });

  it("do not run on if they are claimed at that moment", async () => {
    const { worker, lease, parent } = await orchestrate();
    await delegate(lease, [segment(), segment()]);
    const [claiming, above] = [await queue.session(), await queue.session()];
    await claiming.rows("begin");
    const { task } = await claiming.call<Claim>("claim_task", { p_worker_id: worker });
    const parentEnded = above.rows(CANCEL, [parent]);
    const looking = "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'";
    await expect.poll(() => queue.rows(looking, [above.pid]), { interval: 1 }).toHaveLength(1);
    await claiming.rows("commit");
    await parentEnded;
    // A machine too busy to commit within a second leaves the rest to the janitor.
    await queue.call("repair_tasks", {});
    expect(await queue.task(task!.task_id)).toMatchObject({ status: "Cancelled" });
    expect(await queue.finish(task!)).toBe("lease_lost");
  });

  it("do not wait for sub-tasks of their own if they are delegated at that moment", async () => {
    const { worker, lease, parent } = await orchestrate();
    await delegate(lease, [segment("travel_orchestrator")]);
    const middle = await queue.lease(worker);
    const delegating = await queue.session();
    await delegating.rows("begin");
    await delegating.rows("select from tasks where id = $1 for no key update", [middle.task_id]);
    await cancel(parent);
    expect(await queue.task(middle.task_id)).toMatchObject({ status: "In Progress" });
    const below = segment();
    const given = { ...leaseArgs(middle), p_sub_tasks: JSON.stringify([below]) };
    expect(await delegating.call("delegate_task", given)).toEqual({ outcome: "delegated" });
    await delegating.rows("commit");
    expect(await queue.task(middle.task_id)).toMatchObject({ status: "Cancelled" });
    expect(await queue.task(below.id)).toMatchObject({ status: "Cancelled" });
  });
});
