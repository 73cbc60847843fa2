import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

type Repairs = Record<"released" | "delegated" | "cancelled" | "parents_ended" | "opened" | "failed", string[]>;

const NOTHING: Repairs = {
  released: [],
  delegated: [],
  cancelled: [],
  parents_ended: [],
  opened: [],
  failed: [],
};

describe("the repair of tasks", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const repair = (args = {}) => queue.call<Repairs>("repair_tasks", args);
  /** As the rows of an adopted database are: no trigger has seen this write. */
  const unseen = async (statement: string, values: unknown[]) => {
    const session = await queue.session();
    await session.rows("set session_replication_role = replica");
    await session.rows(statement, values);
    await session.end();
  };
  const running = (id: string, worker: string | null, age = "1 hour") =>
    unseen(`update tasks set status = 'In Progress', worker_id = $2, updated_at = now() - $3::interval where id = $1`, [
      id,
      worker,
      age,
    ]);
  const mended = (id: string) =>
    queue.rows("select reason from pool_events where kind = 'task.repaired' and task_id = $1", [id]);

  it("finds nothing where nothing is wrong", async () => {
    const worker = await queue.newWorker(pool);
    await queue.addTasks(pool, 3);
    await queue.lease(worker);
    const project = await queue.newProject({ max_running: 1 });
    const [first] = await queue.addTasks(pool, 2, { project_id: project });
    await queue.addTask(pool, { dependant_on: first });
    expect(await repair()).toEqual(NOTHING);
  });

  it("puts a task that no lease holds back into the queue, once, and journals it; a dry run only says so", async () => {
    const [lost, young] = await queue.addTasks(pool, 2);
    await running(lost!, null);
    await running(young!, null, "1 second");
    expect(await repair({ p_dry_run: true })).toEqual({ ...NOTHING, released: [lost] });
    expect(await queue.task(lost!)).toMatchObject({ status: "In Progress" });
    expect(await repair()).toEqual({ ...NOTHING, released: [lost] });
    expect(await queue.task(lost!)).toMatchObject({ status: "Queued", gate: "open", worker_id: null });
    expect(await mended(lost!)).toHaveLength(1);
    expect(await repair()).toEqual(NOTHING);
    expect((await queue.lease(await queue.newWorker(pool))).task_id).toBe(lost);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [young]);
  });

  it("leaves such a task to a living worker of an adopted table that holds no other, within its type's stuck limit", async () => {
    const living = await queue.newWorker(pool, { origin: "external", last_heartbeat: new Date() });
    const silent = await queue.newWorker(pool, { origin: "external", last_heartbeat: new Date(0) });
    const [rendering, orphan, stuck] = await queue.addTasks(pool, 3);
    await running(rendering!, living, "30 minutes");
    await running(orphan!, silent, "30 minutes");
    await running(stuck!, living, "2 hours");
    expect((await repair()).released.toSorted()).toEqual([orphan!, stuck!].toSorted());
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [rendering]);
  });

  it("lets an orchestrator task wait for its sub-tasks, and ends one that waits for none", async () => {
    const [parent, over] = await queue.addTasks(pool, 2, { task_type: "travel_orchestrator" });
    const child = await queue.addTask(pool, { params: { orchestrator_task_id_ref: parent } });
    const done = await queue.addTask(pool, { params: { orchestrator_task_id_ref: over } });
    await running(parent!, null);
    await running(over!, null);
    await unseen("update tasks set delegated_at = now() where id = $1", [over]);
    await unseen(
      "update tasks set status = 'Complete', output_location = 'https://files.example/v.mp4' where id = $1",
      [done],
    );
    expect(await repair()).toEqual({ ...NOTHING, delegated: [parent], parents_ended: [over] });
    expect(await queue.task(over!)).toMatchObject({
      status: "Complete",
      output_location: "https://files.example/v.mp4",
    });
    await unseen("delete from tasks where id = $1", [child]);
    expect(await repair()).toEqual({ ...NOTHING, parents_ended: [parent] });
    expect(await queue.task(parent!)).toMatchObject({ status: "Failed" });
  });

  it("opens what is held or delayed for no reason, within the limit of the project", async () => {
    const limited = await queue.newProject({ max_running: 2 });
    const ids = await queue.addTasks(pool, 3, { project_id: limited });
    const free = await queue.addTask(pool, { project_id: await queue.newProject() });
    const late = await queue.addTask(pool);
    await unseen("update tasks set gate = 'held' where id = any ($1)", [[...ids, free]]);
    await unseen("update tasks set gate = 'delayed', delayed_until = now() where id = $1", [late]);
    const { opened } = await repair();
    expect(opened.toSorted()).toEqual([ids[0]!, ids[1]!, free, late].toSorted());
    expect(await queue.task(ids[2]!)).toMatchObject({ gate: "held" });
    expect(await repair()).toEqual(NOTHING);
  });

  it("opens or fails what waits for an ended task, for itself, or for none, and does at most as much as is asked", async () => {
    const [done, failed] = await queue.addTasks(pool, 2);
    const [opens, fails, itself, none] = await queue.addTasks(pool, 4, { dependant_on: done });
    await unseen("update tasks set dependant_on = $2 where id = $1", [fails, failed]);
    await unseen("update tasks set dependant_on = id where id = $1", [itself]);
    await unseen("update tasks set dependant_on = null where id = $1", [none]);
    await unseen("update tasks set status = case id when $1 then 'Complete' else 'Failed' end where id in ($1, $2)", [
      done,
      failed,
    ]);
    const one = await repair({ p_limit: 1 });
    expect([...one.opened, ...one.failed]).toHaveLength(1);
    const rest = await repair();
    expect([...one.opened, ...rest.opened].toSorted()).toEqual([opens!, none!].toSorted());
    expect([...one.failed, ...rest.failed].toSorted()).toEqual([fails!, itself!].toSorted());
    await expect(repair({ p_limit: 0 })).rejects.toMatchObject({ code: "PT400" });
  });
});
