import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { failingWorkers } from "../kit/failing-workers.ts";
import { openQueue, type Queue } from "../kit/queue.ts";

/** Two ways in which the database refuses to change a row. A handler for all errors leaves out the second one. */
const REFUSALS = ["the row is broken", "assertion failed"] as const;

describe.each(REFUSALS)("one row that the database refuses to change (%s) in a batch", (refusal) => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
    await queue.rows("create table broken (id text primary key)");
    await queue.rows(`create function refuse_broken() returns trigger language plpgsql security definer as $$
      begin
        if exists (select from public.broken where broken.id = old.id::text) then
          ${refusal === REFUSALS[0] ? `raise exception '${refusal}';` : "assert false;"}
        end if;
        return case tg_op when 'DELETE' then old else new end;
      end $$`);
    for (const table of ["tasks", "workers"]) {
      await queue.rows(`create trigger z_broken before update or delete on ${table} for each row
        execute function refuse_broken()`);
    }
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const breakRows = (...ids: string[]) =>
    queue.rows("insert into broken select unnest($1::text[]) on conflict do nothing", [ids]);
  const unseen = async (statement: string, values: unknown[]) => {
    const session = await queue.session();
    await session.rows("set session_replication_role = replica");
    await session.rows(statement, values);
    await session.end();
  };
  const expectNamed = async (...subjects: string[]) => {
    const found = await queue.rows<{ subject: string; message: string }>(
      "select subject, message from alerts where kind = 'row_set_aside' and subject = any ($1) and closed_at is null",
      [subjects],
    );
    expect(found.map(({ subject }) => subject).toSorted()).toEqual(subjects.toSorted());
    for (const { message } of found) {
      expect(message).toContain(refusal);
    }
  };
  let priority = 10;
  const subTasks = async (): Promise<[parent: string, children: string[]]> => {
    priority += 1;
    const parent = await queue.addTask(pool, { task_type: "travel_orchestrator", priority });
    const lease = await queue.lease(await queue.newWorker(pool));
    const children = [randomUUID(), randomUUID(), randomUUID()].toSorted();
    await queue.call("delegate_task", {
      p_task_id: parent,
      p_lease_token: lease.lease_token,
      p_sub_tasks: children.map((id) => ({ id, task_type: "t", params: {} })),
    });
    return [parent, children];
  };
  const statuses = async (ids: readonly string[]) =>
    await Promise.all(ids.map(async (id) => (await queue.task(id)).status));

  it("keeps no repair from the rows beside it", async () => {
    const lost = await queue.addTasks(pool, 2);
    const [[childless, gone], [childless2, gone2]] = [await subTasks(), await subTasks()];
    const [stopped, left] = await subTasks();
    const done = await queue.addTask(pool);
    const waiting = await queue.addTasks(pool, 2, { dependant_on: done });
    const limited = await queue.newProject({ max_running: 1 });
    const held = await queue.addTasks(pool, 2, { project_id: limited });
    const late = await queue.addTasks(pool, 2);
    await unseen(
      "update tasks set status = 'In Progress', updated_at = now() - interval '1 hour' where id = any ($1)",
      [[...lost, left[0], left[1]]],
    );
    await unseen("delete from tasks where id = any ($1)", [[...gone, ...gone2, left[2]]]);
    await unseen("update tasks set status = 'Failed' where id = $1", [stopped]);
    await unseen("update tasks set status = 'Complete' where id = $1", [done]);
    await unseen("update tasks set gate = 'held' where id = any ($1)", [held]);
    await unseen("update tasks set gate = 'delayed', delayed_until = now() where id = any ($1)", [late]);
    const broken = [lost[0]!, childless, left[0]!, waiting[0]!, held[0]!, late[0]!];
    await breakRows(...broken);
    const repaired = await queue.call<Record<string, string[]>>("repair_tasks", {});
    expect(repaired).toMatchObject({
      released: [lost[1]],
      cancelled: [left[1]],
      parents_ended: [childless2],
      failed: [],
    });
    expect(repaired["opened"]!.toSorted()).toEqual([waiting[1]!, held[1]!, late[1]!].toSorted());
    await expectNamed(...broken);
  });

  it("keeps no task from its end, and no other one from ending or opening with it", async () => {
    const worker = await queue.newWorker(pool);
    const first = await queue.addTask(pool, { priority: 9 });
    const second = await queue.addTask(pool, { priority: 8 });
    const opens = await queue.addTasks(pool, 2, { dependant_on: first });
    const fails = await queue.addTasks(pool, 2, { dependant_on: second });
    await breakRows(opens[0]!, fails[0]!);
    expect(await queue.finish(await queue.lease(worker))).toBe("completed");
    expect(await queue.task(opens[1]!)).toMatchObject({ gate: "open" });
    expect(await queue.fail(await queue.lease(worker), "no", true)).toBe("failed");
    expect(await queue.task(fails[1]!)).toMatchObject({ status: "Failed" });
    await expectNamed(opens[0]!, fails[0]!);
  });

  it("keeps no place in a project's limit from the task behind it", async () => {
    const project = await queue.newProject({ max_running: 1 });
    const worker = await queue.newWorker(pool);
    const [running, broken, next] = await queue.addTasks(pool, 3, { project_id: project });
    const lease = await queue.lease(worker);
    expect(lease.task_id).toBe(running);
    await breakRows(broken!);
    expect(await queue.finish(lease)).toBe("completed");
    expect((await queue.lease(worker)).task_id).toBe(next);
    await expectNamed(broken!);
  });

  it("keeps neither an orchestrator task from its end nor its sub-tasks from theirs", async () => {
    const worker = await queue.newWorker(pool);
    const [stopped, children] = await subTasks();
    await breakRows(children[1]!);
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [stopped]);
    expect(await statuses(children)).toEqual(["Cancelled", "Queued", "Cancelled"]);
    const [broken, others] = await subTasks();
    await breakRows(broken);
    for (const child of others) {
      const lease = await queue.lease(worker);
      expect([lease.task_id, await queue.finish(lease)]).toEqual([child, "completed"]);
    }
    expect(await queue.task(broken)).toMatchObject({ status: "In Progress" });
    await expectNamed(children[1]!, broken);
  });

  it("keeps no worker from its end, of the pool or of elsewhere", async () => {
    const { failsTasks } = failingWorkers(queue, pool);
    for (const origin of ["pool", "external"]) {
      const sick = await queue.newWorker(pool, { origin, last_heartbeat: new Date() });
      const ids = await failsTasks(sick, 2);
      await breakRows(ids[0]!);
      const end =
        origin === "pool"
          ? queue.call("fail_worker", {
              p_worker_id: sick,
              p_lease_cause: "host_lost",
              p_reason: "it is sick",
              p_failed_since_ms: 0,
            })
          : queue.call("end_external_worker", {
              p_worker_id: sick,
              p_evidence: "failures",
              p_lease_cause: "host_lost",
              p_reason: "it is sick",
              p_failed_since_ms: 0,
            });
      expect(await end).toEqual(origin === "pool" ? { outcome: "failed", leases_closed: 0 } : "ended");
      expect(await statuses(ids)).toEqual(["Failed", "Queued"]);
      await queue.rows("update tasks set status = 'Cancelled' where id = $1", [ids[1]]);
      await expectNamed(ids[0]!);
    }
  });

  it("keeps no decision from being made, and no old worker from being deleted", async () => {
    const [broken, other] = (await queue.newWorkers(pool, 2, { origin: "external" })).toSorted();
    await breakRows(broken!);
    const end = { p_worker_id: broken, p_evidence: "broken", p_lease_cause: "host_lost", p_reason: "it says so" };
    expect(await queue.call("end_external_worker", end)).toBe("set_aside");
    const signals = [broken, other].map((worker) => ({ worker, signal: "drain" }));
    await queue.call("pool_record_decision", {
      p_pool: pool,
      p_decision_id: "d",
      p_kind: "decision",
      p_reason: "r",
      p_details: "{}",
      p_signals: signals,
    });
    const signalled = "select id from workers where pool = $1 and last_signal = 'drain'";
    expect(await queue.rows(signalled, [pool])).toEqual([{ id: other }]);
    await unseen("update workers set status = 'terminated', gone_at = now() - interval '9 days' where pool = $1", [
      pool,
    ]);
    const deleted = await queue.call("clean_up_table", { p_table: "workers", p_days: 1 });
    expect(deleted).toEqual({ deleted: 1, more: false });
    expect(await queue.rows("select id from workers where pool = $1", [pool])).toEqual([{ id: broken }]);
    await expectNamed(broken!);
  });
});
