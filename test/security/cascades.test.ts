import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi } from "../kit/api.ts";
import { leaseArgs } from "../kit/queue.ts";

describe("one task against all others", () => {
  let api: PeopleApi;
  beforeAll(async () => {
    api = await openPeopleApi();
  });
  afterAll(() => api?.close());
  const rows = <T>(statement: string, values: readonly unknown[] = []) => api.queue.rows<T>(statement, values);

  /** A chain in which each task waits for the one before it, past every limit. */
  async function chain(pool: string, length: number): Promise<string[]> {
    const ids = Array.from({ length }, () => randomUUID());
    await rows("update limits set task_chain = 10000, task_tree = 100000, task_fan_out = 100000");
    await rows(
      `insert into tasks (id, task_type, pool, dependant_on)
       select id, 't', $2, lag(id) over (order by place) from unnest($1::uuid[]) with ordinality as t (id, place) order by place`,
      [ids, pool],
    );
    await rows("update limits set task_chain = default, task_tree = default, task_fan_out = default");
    return ids;
  }

  /** The database refuses every write that makes this task Failed, Queued again or In Progress. */
  async function breakTask(task: string, statuses: readonly string[]): Promise<void> {
    const name = `broken_${task.replaceAll("-", "")}`;
    await rows(`create function ${name}() returns trigger language plpgsql as
      $$ begin raise exception 'the row is broken'; end $$`);
    await rows(`create trigger z_${name} before update on tasks for each row
      when (new.id = '${task}' and new.status <> old.status and new.status in (${statuses.map((s) => `'${s}'`).join()}))
      execute function ${name}()`);
  }

  it("a chain of 600 tasks and a fan end with their first one", async () => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool);
    const ids = await chain(pool, 600);
    await rows("insert into tasks (task_type, pool, dependant_on) select 't', $1, $2 from generate_series(1, 100)", [
      pool,
      ids[0],
    ]);
    expect(await api.queue.fail(await api.queue.lease(worker), "broken", true)).toBe("failed");
    expect(await rows("select status, count(*)::integer from tasks where pool = $1 group by 1", [pool])).toEqual([
      { status: "Failed", count: 700 },
    ]);
    const last = await api.queue.task(ids.at(-1)!);
    expect(last.error_message).toBe(`depends on task ${ids.at(-2)}, which is Failed`);
  });

  it("chains, fans and trees beyond their limits are refused by name, whoever writes them", async () => {
    const pool = await api.queue.newPool();
    const head = await api.queue.addTask(pool);
    const fan = (count: number) =>
      rows("insert into tasks (task_type, pool, dependant_on) select 't', $1, $2 from generate_series(1, $3)", [
        pool,
        head,
        count,
      ]);
    await expect(fan(1_001)).rejects.toThrow("limit task_fan_out");
    const ids = Array.from({ length: 252 }, () => randomUUID());
    const write = (count: number) =>
      rows(
        `insert into tasks (id, task_type, pool, dependant_on)
         select id, 't', $2, lag(id) over (order by place) from unnest($1::uuid[]) with ordinality as t (id, place) order by place`,
        [ids.slice(0, count), pool],
      );
    await expect(write(252)).rejects.toThrow("limit task_chain");
    await write(250);
    const under = (id: string | undefined, count: number) =>
      rows("insert into tasks (task_type, pool, dependant_on) select 't', $1, $2 from generate_series(1, $3)", [
        pool,
        id,
        count,
      ]);
    await under(ids[0], 900);
    await expect(under(ids[1], 900)).rejects.toThrow("limit task_tree");
    await under(ids[1], 800);
    // The same by changing rows: two trees become one.
    await fan(60);
    await expect(rows("update tasks set dependant_on = $2 where id = $1", [ids[0], head])).rejects.toThrow(
      "limit task_",
    );
    const person = await api.newPerson();
    const own = await api.queue.addTask(pool, { project_id: person.project });
    await rows("update limits set task_fan_out = 1");
    const create = () =>
      api.call("create-task", person.token, {
        task_type: "t",
        project_id: person.project,
        dependant_on: own,
        params: {},
      });
    expect((await create()).status).toBeLessThan(300);
    const refused = await create();
    expect([refused.status, JSON.stringify(refused.body)]).toEqual([400, expect.stringContaining("task_fan_out")]);
    await rows("update limits set task_fan_out = default, task_tree = 8");
    const behind = async (dependant_on: string) =>
      await api.call("create-task", person.token, {
        task_type: "t",
        project_id: person.project,
        dependant_on,
        params: {},
      });
    let last = await api.queue.addTask(pool, { project_id: person.project });
    for (let length = 1; length < 8; length += 1) {
      last = ((await behind(last)).body as { task_id: string }).task_id;
    }
    // Also far from the top, and however often it is tried.
    for (let attempt = 0; attempt < 20; attempt += 1) {
      expect(JSON.stringify((await behind(last)).body)).toContain("task_tree");
    }
    await rows("update limits set task_tree = default");
  });

  it("a row that cannot be ended keeps no batch from the rows beside it, and is named", async () => {
    const pool = await api.queue.newPool();
    const workers = await api.queue.newWorkers(pool, 3, {
      origin: "external",
      last_heartbeat: "2020-01-01",
      created_at: "2020-01-01",
    });
    await rows("update pools set observing_since = '2020-01-01' where name = $1", [pool]);
    await api.queue.addTasks(pool, 3);
    const leases = [];
    for (const worker of workers.toSorted()) {
      leases.push(await api.queue.lease(worker));
    }
    const broken = leases[1]!.task_id;
    await breakTask(broken, ["Queued", "Failed"]);
    const expire = { p_pool: pool, p_silent_sec: 60, p_stuck_sec: 600 };
    expect(await api.queue.call("expire_external_workers", expire)).toEqual({ closed: 2, removed: 0 });
    const alerts = () =>
      rows("select subject, message from alerts where kind = 'row_set_aside' and pool = $1 and closed_at is null", [
        pool,
      ]);
    const message = expect.stringContaining("the row is broken") as string;
    expect(await alerts()).toEqual([{ subject: workers.toSorted()[1], message }]);
    // Its worker can be ended nevertheless.
    const fail = { p_worker_id: workers.toSorted()[1], p_lease_cause: "worker_died", p_reason: "gone" };
    expect(await api.queue.call("fail_worker", fail)).toMatchObject({ outcome: "failed" });
    expect(await alerts()).toContainEqual({ subject: broken, message });
  });

  it("a task that the database refuses to lease is set aside, not the queue, and comes back by a retry", async () => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool, { last_heartbeat: new Date(), ready_at: "2020-01-01" });
    const [poison, good] = [await api.queue.addTask(pool), await api.queue.addTask(pool)];
    await breakTask(poison, ["In Progress"]);
    await expect(api.queue.claim(worker)).rejects.toThrow("the row is broken");
    const examine = () => api.queue.call("examine_line", { p_pool: pool, p_wait_sec: 0 });
    expect(await examine()).toMatchObject({ outcome: "claimable", task_id: good, problem: null });
    expect(await api.queue.task(poison)).toMatchObject({
      status: "Failed",
      error_message: "no worker can claim it: the row is broken (P0001)",
    });
    const alert = "select message from alerts where kind = 'row_set_aside' and subject = $1 and closed_at is null";
    expect(await rows(alert, [poison])).toHaveLength(1);
    const lease = await api.queue.lease(worker);
    expect(lease.task_id).toBe(good);
    expect(
      await api.queue.call("finish_task", {
        ...leaseArgs(lease),
        p_storage_path: null,
        p_output_location: null,
        p_result: {},
      }),
    ).toEqual({ outcome: "completed" });
    await rows(`drop trigger z_broken_${poison.replaceAll("-", "")} on tasks`);
    expect(await api.queue.call("retry_task", { p_id: poison, p_reason: "mended" })).toMatchObject({
      outcome: "reopened",
    });
    expect((await api.queue.lease(worker)).task_id).toBe(poison);
  });

  it("claims that fail whatever the task is set no task aside, and alert", async () => {
    const pool = await api.queue.newPool();
    await api.queue.newWorker(pool, { last_heartbeat: new Date(), ready_at: "2020-01-01" });
    const task = await api.queue.addTask(pool);
    await rows(
      `create function none_in_${pool}() returns trigger language plpgsql as $$ begin raise exception 'no claims'; end $$`,
    );
    await rows(`create trigger none_in_${pool} before update on tasks for each row
      when (new.pool = '${pool}' and new.status = 'In Progress') execute function none_in_${pool}()`);
    const examined = await api.queue.call("examine_line", { p_pool: pool, p_wait_sec: 0 });
    expect(examined).toMatchObject({ outcome: "claims_fail", task_id: task });
    expect(await api.queue.task(task)).toMatchObject({ status: "Queued" });
    expect(await rows("select kind from alerts where pool = $1 and closed_at is null", [pool])).toEqual([
      { kind: "claims_failing" },
    ]);
  });

  it("a claim that only takes too long fails no task, and alerts until claims are quick again", async () => {
    const pool = await api.queue.newPool();
    await api.queue.newWorker(pool, { last_heartbeat: new Date(), ready_at: "2020-01-01" });
    const task = await api.queue.addTask(pool);
    const sleeps = async (seconds: number) => {
      await rows(`create or replace function slow_in_${pool}() returns trigger language plpgsql as $$
        begin perform pg_sleep(${seconds}); return new; end $$`);
      await rows(`create or replace trigger slow_in_${pool} before update on tasks for each row
        when (new.pool = '${pool}' and new.status = 'In Progress') execute function slow_in_${pool}()`);
    };
    const workersHave = (ms: number) =>
      rows(`do $$ begin execute format('alter role anon in database %I set statement_timeout = ${ms}',
        current_database()); end $$`);
    const line = { p_pool: pool, p_wait_sec: 0 };
    const isSlow = async () => {
      expect(await api.queue.task(task)).toMatchObject({ status: "Queued", attempts: 0 });
      const open = await rows("select kind from alerts where pool = $1 and closed_at is null", [pool]);
      expect(open).toEqual([{ kind: "claims_slow" }]);
    };

    await sleeps(60);
    const session = await api.queue.session();
    await session.rows("set statement_timeout = 300");
    expect(await session.call("examine_line", line)).toMatchObject({ outcome: "too_slow" });
    await session.end();
    await isSlow();
    // Shorter than the service key's own time, and longer than a worker's.
    await sleeps(0.2);
    await workersHave(100);
    expect(await api.queue.call("examine_line", line)).toMatchObject({ outcome: "too_slow", task_id: task });
    await isSlow();

    await workersHave(600_000);
    expect(await api.queue.call("examine_line", line)).toMatchObject({ outcome: "claimable", task_id: task });
    expect(await rows("select from alerts where pool = $1 and closed_at is null", [pool])).toEqual([]);
  });

  it("a claim that waits for a lock fails no task, and alerts until nothing waits", async () => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool, { last_heartbeat: new Date(), ready_at: "2020-01-01" });
    const task = await api.queue.addTask(pool);
    const line = { p_pool: pool, p_wait_sec: 0 };
    const holder = await api.queue.session();
    await holder.rows("begin");
    await holder.call("take_turn", { p_worker_id: worker });
    expect(await api.queue.call("examine_line", line)).toMatchObject({ outcome: "too_slow" });
    expect(await api.queue.task(task)).toMatchObject({ status: "Queued", attempts: 0 });
    await holder.rows("rollback");
    await holder.end();
    const open = () => rows("select kind from alerts where pool = $1 and closed_at is null", [pool]);
    expect(await open()).toEqual([{ kind: "claims_slow" }]);
    await api.queue.lease(worker);
    expect(await api.queue.call("examine_line", line)).toBeNull();
    expect(await open()).toEqual([]);
  });
});
