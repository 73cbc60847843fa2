import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue, type Session } from "../../kit/queue.ts";

describe("a change of what a queued task waits for", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const CHANGE = "update tasks set dependant_on = $2 where id = $1";
  const change = (id: string, to: string | null) => queue.rows(CHANGE, [id, to]);
  const gate = async (id: string) => (await queue.task(id)).gate;
  const circle = (...ids: (string | undefined)[]) => ({
    code: "PT400",
    message: expect.stringMatching(new RegExp(ids.map((id) => `(?=.*${id})`).join(""))),
  });

  it("opens it, blocks it or leaves it open, by the task that it names now, and keeps its place in line", async () => {
    const [first, done] = await queue.addTasks(pool, 2);
    const task = await queue.addTask(pool, { dependant_on: first });
    const later = await queue.addTask(pool);
    await change(task, null);
    expect(await gate(task)).toBe("open");
    await change(task, first!);
    expect(await gate(task)).toBe("blocked");
    await queue.rows("update tasks set status = 'Complete' where id = $1", [done]);
    await change(task, done!);
    expect(await gate(task)).toBe("open");
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [first]);
    const order = [];
    for (const worker of await queue.newWorkers(pool, 2)) {
      order.push((await queue.lease(worker)).task_id);
    }
    expect(order).toEqual([task, later]);
  });

  it("is followed by the completion and the failure of the task that it names now", async () => {
    const [old, next] = await queue.addTasks(pool, 2);
    const [a, b] = await queue.addTasks(pool, 2, { dependant_on: old });
    await change(a!, next!);
    await change(b!, next!);
    await queue.rows("update tasks set status = 'Failed' where id = $1", [old]);
    expect(await queue.task(a!)).toMatchObject({ status: "Queued", gate: "blocked" });
    await change(b!, null);
    await queue.rows("update tasks set status = 'Failed' where id = $1", [next]);
    expect(await queue.task(a!)).toMatchObject({ status: "Failed" });
    expect(await queue.task(b!)).toMatchObject({ status: "Queued", gate: "open" });
  });

  it("takes and gives back a place in the project's limit", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const [first, second] = await queue.addTasks(pool, 2, { project_id: project });
    const other = await queue.addTask(pool);
    await change(first!, other);
    expect([await gate(first!), await gate(second!)]).toEqual(["blocked", "open"]);
    await change(first!, null);
    expect([await gate(first!), await gate(second!)]).toEqual(["held", "open"]);
  });

  it("is refused for a running and for an ended task, and for a task that could then never run", async () => {
    const [runs, ends, waits] = await queue.addTasks(pool, 3);
    expect((await queue.lease(await queue.newWorker(pool))).task_id).toBe(runs);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [ends]);
    await expect(change(runs!, waits!)).rejects.toMatchObject({
      code: "PT409",
      message: expect.stringContaining("In Progress"),
    });
    await expect(change(ends!, waits!)).rejects.toMatchObject({
      code: "PT409",
      message: expect.stringContaining("Cancelled"),
    });
    await expect(change(waits!, ends!)).rejects.toMatchObject({
      code: "PT409",
      message: expect.stringContaining(ends!),
    });
    const missing = randomUUID();
    await expect(change(waits!, missing)).rejects.toMatchObject({
      code: "PT400",
      message: expect.stringContaining(missing),
    });
    expect(await queue.task(waits!)).toMatchObject({ status: "Queued", gate: "open" });
  });

  it("is refused where tasks would wait for each other, with the names of all of them", async () => {
    const first = await queue.addTask(pool);
    const second = await queue.addTask(pool, { dependant_on: first });
    const third = await queue.addTask(pool, { dependant_on: second });
    await expect(change(first, first)).rejects.toMatchObject(circle(first));
    await expect(change(first, third)).rejects.toMatchObject(circle(first, second, third));
    expect(await gate(first)).toBe("open");
    // One statement may turn the order around.
    await queue.rows(
      `update tasks set dependant_on = case id when $1 then $2 when $2 then $3 end::uuid where id = any (array[$1, $2, $3]::uuid[])`,
      [first, second, third],
    );
    expect([await gate(first), await gate(second), await gate(third)]).toEqual(["blocked", "blocked", "open"]);
    const swap =
      "update tasks set dependant_on = case id when $1 then $2 else $1 end::uuid where id = any (array[$1, $2]::uuid[])";
    const [a, b] = await queue.addTasks(pool, 2);
    await expect(queue.rows(swap, [a, b])).rejects.toMatchObject(circle(a, b));
  });

  it("is refused at the insert too, of one row and of several in any order", async () => {
    const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()];
    const insert = (rows: [string, string | null][]) =>
      queue.rows(
        `insert into tasks (id, task_type, pool, dependant_on)
         select id, 'vace', $1, before from unnest($2::uuid[], $3::uuid[]) as r (id, before)`,
        [pool, rows.map(([id]) => id), rows.map(([, before]) => before)],
      );
    await expect(insert([[a, a]])).rejects.toMatchObject(circle(a));
    await expect(
      insert([
        [a, b],
        [b, c],
        [c, a],
      ]),
    ).rejects.toMatchObject(circle(a, b, c));
    await insert([
      [a, b],
      [b, c],
      [c, null],
    ]);
    expect([await gate(a), await gate(b), await gate(c)]).toEqual(["blocked", "blocked", "open"]);
  });

  it("of an insert whose later row has ended is followed at once", async () => {
    const [a, b, c, d] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    await queue.rows(
      `insert into tasks (id, task_type, pool, status, dependant_on) values
       ($2, 'vace', $1, 'Queued', $3), ($3, 'vace', $1, 'Complete', null),
       ($4, 'vace', $1, 'Queued', $5), ($5, 'vace', $1, 'Failed', null)`,
      [pool, a, b, c, d],
    );
    expect(await queue.task(a)).toMatchObject({ status: "Queued", gate: "open" });
    expect(await queue.task(c)).toMatchObject({ status: "Failed" });
  });

  it("never slips a circle through between two changes at once, and neither of them waits for the other", async () => {
    const [a, b] = await queue.addTasks(pool, 2);
    const [one, two] = [await queue.session(), await queue.session()];
    const set = (session: Session, id: string, to: string) => session.rows(CHANGE, [id, to]);
    await one.rows("begin");
    await set(one, a!, b!);
    const second = set(two, b!, a!).then(
      () => null,
      (error: unknown) => error,
    );
    await queue.untilBlocked(two);
    await one.rows("commit");
    expect(await second).toMatchObject(circle(a, b));
    expect([await gate(a!), await gate(b!)]).toEqual(["blocked", "open"]);
  });

  it("waits for the end of the task that it names", async () => {
    const [before, task] = await queue.addTasks(pool, 2);
    const [ending, changing] = [await queue.session(), await queue.session()];
    await ending.rows("begin");
    await ending.rows("update tasks set status = 'Complete' where id = $1", [before]);
    const changed = changing.rows(CHANGE, [task, before]);
    await queue.untilBlocked(changing);
    await ending.rows("commit");
    await changed;
    expect(await gate(task!)).toBe("open");
  });

  it("and a change of its project decide the gate by the new project's limit, and give back the old place", async () => {
    const full = await queue.newProject({ max_running: 1 });
    const free = await queue.newProject();
    const [first, second] = await queue.addTasks(pool, 2, { project_id: full });
    const move = (id: string, project: string) =>
      queue.rows("update tasks set project_id = $2 where id = $1", [id, project]);
    await move(first!, free);
    expect([await gate(first!), await gate(second!)]).toEqual(["open", "open"]);
    await move(first!, full);
    expect(await gate(first!)).toBe("held");
    await move(first!, free);
    expect(await gate(first!)).toBe("open");
  });
});
