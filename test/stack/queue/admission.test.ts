import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

const DEFAULT_PROJECT = "00000000-0000-0000-0000-000000000000";

describe("the admission of a task", () => {
  let queue: Queue;
  beforeAll(async () => {
    queue = await openQueue();
    await queue.rows("insert into task_types (name, pool) values ('upscale', 'rare')");
    await queue.rows("insert into task_types (name, alias_of) values ('up', 'upscale')");
  });
  afterAll(() => queue?.close());

  const insert = (columns: string, values: readonly unknown[]) =>
    queue.one<{ id: string }>(
      `insert into tasks (${columns}) values (${values.map((_, i) => `$${i + 1}`).join(", ")}) returning id`,
      values,
    );

  it("turns an alias of a task type into its name, and takes the pool of that type", async () => {
    const { id } = await insert("task_type", ["up"]);
    expect(await queue.task(id)).toMatchObject({ task_type: "upscale", pool: "rare", status: "Queued", gate: "open" });
    const video = await insert("task_type", ["video_generation"]);
    expect(await queue.task(video.id)).toMatchObject({ task_type: "generate_video", pool: "main" });
  });

  it("sends an unknown type to the pool main", async () => {
    const { id } = await insert("task_type", ["never_heard_of"]);
    expect(await queue.task(id)).toMatchObject({ task_type: "never_heard_of", pool: "main", gate: "open" });
  });

  it.each([
    ["status", "Bogus"],
    ["gate", "ajar"],
  ])("refuses a %s that has no meaning, in a new task and in one that is there", async (column, value) => {
    const refusal = { code: "23514", message: expect.stringMatching(`^${column} ${value} is none of `) };
    const { id } = await insert("task_type", ["generate_video"]);
    await expect(insert(`task_type, ${column}`, ["generate_video", value])).rejects.toMatchObject(refusal);
    await expect(queue.rows(`update tasks set ${column} = $2 where id = $1`, [id, value])).rejects.toMatchObject(
      refusal,
    );
    expect(await queue.task(id)).toMatchObject({ status: "Queued", gate: "open" });
  });

  it("keeps the pool that the row names", async () => {
    const { id } = await insert("task_type, pool", ["upscale", "mine"]);
    expect(await queue.task(id)).toMatchObject({ pool: "mine" });
  });

  it("puts a task without a project, or with an explicit null, into the default project", async () => {
    const left = await insert("task_type", ["generate_video"]);
    const nulled = await insert("task_type, project_id", ["generate_video", null]);
    expect(await queue.task(left.id)).toMatchObject({ project_id: DEFAULT_PROJECT });
    expect(await queue.task(nulled.id)).toMatchObject({ project_id: DEFAULT_PROJECT });
  });

  it("decides gate and place itself, whatever the row contains", async () => {
    const parent = await insert("task_type", ["generate_video"]);
    const child = await insert("task_type, dependant_on, gate, vtime", ["generate_video", parent.id, "open", -1]);
    const [row] = await queue.rows<{ gate: string; vtime: string }>("select gate, vtime from tasks where id = $1", [
      child.id,
    ]);
    expect(row!.gate).toBe("blocked");
    expect(Number(row!.vtime)).toBeGreaterThan(0);
  });
});

describe("the gate of a task that depends on another", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const parentIn = async (status: string) => {
    const id = await queue.addTask(pool);
    if (status !== "Queued") {
      await queue.rows("update tasks set status = $2 where id = $1", [id, status]);
    }
    return id;
  };
  const childOf = (parent: string) => queue.addTask(pool, { dependant_on: parent });

  it.each([
    ["Queued", { status: "Queued", gate: "blocked" }],
    ["In Progress", { status: "Queued", gate: "blocked" }],
    ["Complete", { status: "Queued", gate: "open" }],
  ])("is set at the insert from a parent that is %s", async (status, expected) => {
    expect(await queue.task(await childOf(await parentIn(status)))).toMatchObject(expected);
  });

  it.each(["Failed", "Cancelled"])("stays closed if the parent is %s: the child fails and names it", async (status) => {
    const parent = await parentIn(status);
    expect(await queue.task(await childOf(parent))).toMatchObject({
      status: "Failed",
      error_message: `depends on task ${parent}, which is ${status}`,
    });
  });

  it("cannot be set for an unknown parent: the insert is refused", async () => {
    const missing = randomUUID();
    await expect(childOf(missing)).rejects.toMatchObject({ code: "23503" });
    expect(await queue.rows("select 1 from tasks where dependant_on = $1", [missing])).toEqual([]);
  });

  it("opens for all children in the transaction that completes the parent, and not for grandchildren", async () => {
    const parent = await parentIn("In Progress");
    const children = [await childOf(parent), await childOf(parent)];
    const grandchild = await childOf(children[0]!);
    const session = await queue.session();
    await session.rows("begin");
    await session.rows("update tasks set status = 'Complete' where id = $1", [parent]);
    const gates = "select distinct gate from tasks where id = any($1)";
    expect(await session.rows(gates, [children])).toEqual([{ gate: "open" }]);
    expect(await queue.rows(gates, [children])).toEqual([{ gate: "blocked" }]);
    await session.rows("commit");
    expect(await queue.rows(gates, [children])).toEqual([{ gate: "open" }]);
    expect(await queue.task(grandchild)).toMatchObject({ status: "Queued", gate: "blocked" });
  });

  it.each(["Failed", "Cancelled"])(
    "fails a whole chain in the transaction in which its root becomes %s",
    async (status) => {
      const chain = [await parentIn("In Progress")];
      while (chain.length < 40) {
        chain.push(await childOf(chain.at(-1)!));
      }
      const session = await queue.session();
      await session.rows("begin");
      await session.rows("update tasks set status = $2 where id = $1", [chain[0], status]);
      const failed = "select count(*)::int as n from tasks where id = any($1) and status = 'Failed'";
      expect(await session.rows(failed, [chain.slice(1)])).toEqual([{ n: 39 }]);
      await session.rows("rollback");
      expect(await queue.rows(failed, [chain.slice(1)])).toEqual([{ n: 0 }]);
      await queue.rows("update tasks set status = $2 where id = $1", [chain[0], status]);
      expect(await queue.task(chain[1]!)).toMatchObject({
        error_message: `depends on task ${chain[0]}, which is ${status}`,
      });
      expect(await queue.task(chain[39]!)).toMatchObject({
        status: "Failed",
        error_message: `depends on task ${chain[38]}, which is Failed`,
      });
    },
  );

  it("lets a chain run one task after the other, in its order", async () => {
    const own = await queue.newPool();
    const chained = await queue.newWorker(own);
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      ids.push(await queue.addTask(own, { dependant_on: ids.at(-1) ?? null }));
    }
    const done: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      const lease = await queue.lease(chained);
      done.push(lease.task_id);
      await queue.finish(lease);
    }
    expect(done).toEqual(ids);
  });

  it("stays closed while its parent goes back to the queue; the child fails with the parent's last attempt", async () => {
    const own = await queue.newPool();
    const holder = await queue.newWorker(own);
    const parent = await queue.addTask(own);
    const child = await queue.addTask(own, { dependant_on: parent });
    for (const outcome of ["requeued", "requeued", "failed"]) {
      expect(await queue.task(child)).toMatchObject({ status: "Queued", gate: "blocked" });
      expect(await queue.fail(await queue.lease(holder), "no luck")).toBe(outcome);
    }
    expect(await queue.task(child)).toMatchObject({ status: "Failed" });
  });

  it("is held, not open, if the child's project is full or paused, and opens when there is room", async () => {
    const paused = await queue.newProject({ paused: true });
    const parent = await parentIn("In Progress");
    const child = await queue.addTask(pool, { dependant_on: parent, project_id: paused });
    await queue.rows("update tasks set status = 'Complete' where id = $1", [parent]);
    expect(await queue.task(child)).toMatchObject({ status: "Queued", gate: "held" });
    await queue.rows("update projects set paused = false where id = $1", [paused]);
    expect(await queue.task(child)).toMatchObject({ gate: "open" });
  });
});
