import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { watchPlans } from "../../kit/plans.ts";
import { openQueue, type Queue, type Session } from "../../kit/queue.ts";

let queue: Queue;
let session: Session;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
  session = await queue.session();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

/** The place of each task of the pool in the order of arrival, counted from the first one. */
async function places(of = pool): Promise<number[]> {
  const rows = await queue.rows<{ place: number }>(
    `select (vtime - min(vtime) over ())::int as place from tasks where pool = $1 order by (params ->> 'n')::int`,
    [of],
  );
  return rows.map(({ place }) => place);
}

/** Inserts five tasks by one statement, each with the given expression as its type. */
function insertFive(taskType: string): Promise<unknown> {
  return session.rows(
    `insert into tasks (task_type, pool, params)
     select ${taskType}, $1, jsonb_build_object('n', n) from generate_series(1, 5) as n`,
    [pool],
  );
}

describe("a batch of tasks", () => {
  it("is admitted by one decision for rows alike, in its order", async () => {
    const watch = await watchPlans(queue);
    const { statements } = await watch.run(
      `insert into tasks (task_type, pool, params)
       select 'generate_video', $1, jsonb_build_object('n', n) from generate_series(1, 100) as n`,
      [pool],
    );
    await watch.end();
    expect(statements.filter(({ text }) => /\bfrom task_types where/.test(text))).toHaveLength(1);
    expect(statements.filter(({ text }) => /\bmax_running is not null\b/.test(text))).toHaveLength(2);
    expect(await places()).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  it("stands in line as if its rows had come one by one, however they differ", async () => {
    const projects = [await queue.newProject(), await queue.newProject({ max_running: 2 }), await queue.newProject()];
    const pools = [await queue.newPool(), await queue.newPool()];
    const others = [await queue.newProject(), await queue.newProject({ max_running: 2 }), await queue.newProject()];
    const otherPools = [await queue.newPool(), await queue.newPool()];
    const base = await queue.newProject();
    for (const line of [...pools, ...otherPools]) {
      for (const priority of [0, 1]) {
        const head = await queue.addTask(line, { project_id: base, priority });
        await queue.rows("update tasks set vtime = 1000 where id = $1", [head]);
      }
    }
    const ids = Array.from({ length: 60 }, () => [randomUUID(), randomUUID()] as const);
    const row = (n: number, copy: 0 | 1) => ({
      id: ids[n]![copy],
      task_type: n % 7 === 0 ? "video_generation" : "generate_video",
      pool: [pools, otherPools][copy]![n % 11 === 0 ? 1 : 0],
      project_id: [projects, others][copy]![n < 30 ? Math.floor(n / 5) % 3 : n % 3],
      priority: n % 13 === 0 ? 1 : 0,
      dependant_on: n % 9 === 8 ? ids[n - 2]![copy] : null,
      status: n % 10 === 9 ? "Complete" : "Queued",
      params: { n, ...(n % 17 === 16 && { orchestrator_task_id_ref: ids[n - 3]![copy] }) },
    });
    const insert = (rows: readonly object[]) =>
      session.rows(
        `insert into tasks (id, task_type, pool, project_id, priority, dependant_on, status, params)
         select * from jsonb_to_recordset($1) as r (id uuid, task_type text, pool text, project_id uuid, priority integer,
           dependant_on uuid, status text, params jsonb)`,
        [JSON.stringify(rows)],
      );
    const all = ids.map((_, n) => n);
    await insert(all.map((n) => row(n, 0)));
    for (const n of all) {
      await insert([row(n, 1)]);
    }
    const line = (copy: 0 | 1) =>
      queue.rows(
        `select task_type, priority, status, vtime, parent_id is not null as has_parent,
           case when project_id = $2 and gate in ('open', 'held') then 'as there is room' else gate end as gate
         from tasks where id = any($1) order by (params ->> 'n')::int`,
        [ids.map((both) => both[copy]), [projects, others][copy]![1]],
      );
    expect(await line(0)).toEqual(await line(1));
  });

  it("of one project does not delay the batches of others", async () => {
    const many = await queue.addTasks(pool, 30);
    const few = await queue.addTasks(pool, 3, { project_id: await queue.newProject() });
    const worker = await queue.newWorker(pool);
    const first: string[] = [];
    for (let n = 0; n < 7; n += 1) {
      const lease = await queue.lease(worker);
      first.push(lease.task_id);
      await queue.finish(lease);
    }
    expect(first).toEqual(expect.arrayContaining([...few, ...many.slice(0, 3)]));
  });

  it("is decided anew after its own statement has changed a limit, a pause or a task's type", async () => {
    const project = await queue.newProject();
    const type = `t${randomUUID().slice(0, 8)}`;
    const other = await queue.newPool();
    await queue.rows("insert into task_types (name, pool) values ($1, $2)", [type, pool]);
    const one = (n: number) => `insert into tasks (task_type, project_id, params)
      values ('${type}', '${project}', '{"n": ${n}}');`;
    await session.rows(`do $$ begin
      ${one(1)} ${one(2)}
      update projects set max_running = 3 where id = '${project}';
      ${one(3)} ${one(4)}
      update projects set max_running = null where id = '${project}';
      ${one(5)}
      update task_types set pool = '${other}' where name = '${type}';
      ${one(6)}
      update projects set paused = true where id = '${project}';
      ${one(7)}
      update projects set paused = false, max_running = 6 where id = '${project}';
    end $$`);
    const rows = await queue.rows<{ gate: string; pool: string }>(
      "select gate, pool from tasks where project_id = $1 order by (params ->> 'n')::int",
      [project],
    );
    expect(rows.map(({ gate }) => gate)).toEqual(["open", "open", "open", "open", "open", "open", "held"]);
    expect(rows.map((row) => row.pool)).toEqual([...Array<string>(5).fill(pool), other, other]);
  });

  it("keeps out a change of its project's limit, also where an inner block of its statement was undone", async () => {
    const project = await queue.newProject();
    const insert = `insert into tasks (task_type, pool, project_id) values ('generate_video', '${pool}', '${project}');`;
    await session.rows("begin");
    await session.rows(`do $$ begin
      begin ${insert} raise exception 'undone'; exception when raise_exception then null; end;
      ${insert} end $$`);
    const limiting = await queue.session();
    const limited = limiting.rows("update projects set max_running = 1, paused = true where id = $1", [project]);
    await queue.untilBlocked(limiting);
    await session.rows("commit");
    await limited;
    await limiting.end();
    expect(await queue.rows("select gate from tasks where pool = $1", [pool])).toEqual([{ gate: "held" }]);
  });
});

describe("a place in line", () => {
  const inOrder = [0, 1, 2, 3, 4];

  it("does not come from a setting that a caller writes", async () => {
    const behind = await queue.addTask(pool);
    await session.rows("select set_config('gpu_pool.admitted', $1, false)", [`${"0".repeat(32)}|1|${pool}`]);
    await insertFive("'generate_video'");
    const before = "select 1 from tasks where pool = $1 and vtime < (select vtime from tasks where id = $2)";
    expect(await queue.rows(before, [pool, behind])).toEqual([]);
    for (const text of ["", "x", "||", "|x|", `${"0".repeat(32)}|é|`]) {
      await session.rows("select set_config('gpu_pool.admitted', $1, false)", [text]);
      await insertFive("'generate_video'");
    }
    await session.rows("reset gpu_pool.admitted");
    expect(new Set(await places()).size).toBe(31);
  });

  it.each([
    ["an earlier place, as it was signed", "current_setting('storm.first')"],
    ["a place of the caller's own", "regexp_replace(current_setting('gpu_pool.admitted'), '[|].*[|]', '|1|')"],
    ["another pool", "current_setting('gpu_pool.admitted') || 'elsewhere'"],
  ])("does not come from a setting that is changed between two rows of a statement: %s", async (_, text) => {
    await session.rows(`create or replace function pg_temp.forged(n integer) returns text language plpgsql as $$
      begin
        if n = 2 then
          perform set_config('storm.first', current_setting('gpu_pool.admitted'), false);
        elsif n > 2 then
          perform set_config('gpu_pool.admitted', ${text}, true);
        end if;
        return 'generate_video';
      end $$`);
    await insertFive("pg_temp.forged(n)");
    expect(await places()).toEqual(inOrder);
  });

  it("is signed with a key that no role but the owner can read or advance", async () => {
    for (const role of ["service_role", "authenticated", "anon"]) {
      for (const read of [
        "nextval('admission_key')",
        "currval('admission_key')",
        "(select last_value from admission_key)",
      ]) {
        await session.rows("begin");
        await session.rows(`set local role ${role}`);
        await expect(session.rows(`select ${read}`)).rejects.toMatchObject({ code: "42501" });
        await session.rows("rollback");
      }
    }
  });
});
