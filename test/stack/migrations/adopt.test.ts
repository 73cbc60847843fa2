import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterEach, describe, expect, inject, it } from "vitest";
import { bootstrapSupabase } from "../../../src/dev/servers/supabase-roles.ts";
import { migrate } from "../../../src/supabase/migrate.ts";
import { incumbentSchema } from "../../kit/incumbent.ts";

function task(n: number) {
  return `33333333-0000-0000-0000-00000000000${n}`;
}

describe("migrating the incumbent orchestrator's tables", () => {
  const { superuserUrl, authenticatorPassword } = inject("shared");
  const undo: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of undo.splice(0).reverse()) {
      await end();
    }
  });

  async function databaseWith(schema: string) {
    const name = `adopt_${randomBytes(6).toString("hex")}`;
    const admin = new pg.Client({ connectionString: superuserUrl });
    await admin.connect();
    undo.push(() => admin.end());
    await admin.query(`create database ${name}`);
    undo.push(() => admin.query(`drop database ${name} with (force)`));
    const url = new URL(superuserUrl);
    url.pathname = `/${name}`;
    await bootstrapSupabase({ databaseUrl: url.href, authenticatorPassword });
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    undo.push(() => client.end());
    await client.query(schema);
    return {
      url: url.href,
      rows: async (text: string, values: unknown[] = []) => (await client.query(text, values)).rows,
    };
  }

  interface Lease {
    readonly task_id: string;
    readonly lease_token: string;
  }
  const claimed = async (rows: Awaited<ReturnType<typeof databaseWith>>["rows"], worker: string) => {
    const [row] = await rows("select claim_task($1) as answer", [worker]);
    return (row as { answer: { task: Lease | null } }).answer.task;
  };

  it.each(["text", "enum"] as const)(
    "keeps every row and makes queued tasks claimable, with a status of type %s",
    async (kind) => {
      const { url, rows } = await databaseWith(incumbentSchema(kind));
      await migrate(url);
      expect(await migrate(url)).toEqual([]);

      const kept = await rows("select id, status::text, gate, pool, params, output_location from tasks order by id");
      expect(kept).toHaveLength(9);
      expect(kept[0]).toMatchObject({ status: "Complete", output_location: "https://old.example/1.mp4" });
      expect(kept.map(({ status, gate }) => `${status} ${gate}`)).toEqual([
        "Complete open",
        "In Progress open",
        "In Progress open",
        "Queued open",
        "Queued open",
        "Queued blocked",
        "Queued open",
        "Failed open",
        "Failed open",
      ]);
      expect(kept[6].pool).toBe("api");
      const types = "select name, run_type, pool, alias_of from task_types where name = any($1) order by name";
      expect(await rows(types, [["vace", "image-upscale", "flux", "video_generation"]])).toEqual([
        { name: "flux", run_type: "gpu", pool: "main", alias_of: null },
        { name: "image-upscale", run_type: "api", pool: "api", alias_of: null },
        { name: "vace", run_type: "gpu", pool: "main", alias_of: null },
        { name: "video_generation", run_type: "gpu", pool: "main", alias_of: "generate_video" },
      ]);
      const [{ type }] = await rows(
        "select atttypid::regtype::text as type from pg_attribute where attrelid = 'tasks'::regclass and attname = 'status'",
      );
      expect(type).toBe(kind === "enum" ? "task_status" : "text");
      expect(await rows("select count(*)::int as n from generations join tasks on tasks.id = task_id")).toEqual([
        { n: 1 },
      ]);
      expect(await rows("select settings from projects where name = 'films'")).toEqual([{ settings: { fps: 16 } }]);

      expect(await rows("select id, status, origin, gone_at is null as lives from workers order by id")).toEqual([
        { id: "gpu-booting", status: "spawning", origin: "external", lives: true },
        { id: "gpu-ended", status: "terminated", origin: "external", lives: false },
        { id: "gpu-living", status: "active", origin: "external", lives: true },
        { id: "gpu-silent", status: "terminated", origin: "external", lives: false },
      ]);
      expect(await rows("select metadata from workers where id = 'gpu-living'")).toEqual([
        { metadata: { runpod_id: "abc" } },
      ]);

      // The running task has a lease; the orchestrator's task holds no worker.
      expect(await rows("select task_id, worker_id, attempt, ended_at, reports_progress from task_attempts")).toEqual([
        { task_id: task(2), worker_id: "gpu-living", attempt: 1, ended_at: null, reports_progress: false },
      ]);
      const own = await claimed(rows, "gpu-living");
      expect(own).toMatchObject({ task_id: task(2), attempt: 1 });
      const done = "select finish_task($1, $2, null, null, '{}') as answer";
      expect((await rows(done, [own?.task_id, own?.lease_token]))[0].answer).toEqual({ outcome: "completed" });
      // First in, first out among the old rows, then the task that the completion opened.
      for (const next of [4, 5, 6]) {
        const lease = await claimed(rows, "gpu-living");
        expect(lease?.task_id).toBe(task(next));
        await rows(done, [lease?.task_id, lease?.lease_token]);
      }
      expect(await claimed(rows, "gpu-living")).toBeNull();
      const [added] = await rows(
        "insert into tasks (task_type, params, project_id) values ('vace', '{}', '22222222-0000-0000-0000-000000000001') returning id",
      );
      expect((await claimed(rows, "gpu-living"))?.task_id).toBe(added.id);
    },
  );

  it("reads a list of one task in dependant_on as that task, and fails tasks that wait for each other", async () => {
    const { url, rows } = await databaseWith(incumbentSchema("text"));
    await rows("alter table tasks drop constraint tasks_dependant_on_fkey");
    await rows(`alter table tasks alter column dependant_on type uuid[]
      using case when dependant_on is null then '{}' else array[dependant_on] end`);
    const circle = ["44444444-0000-0000-0000-000000000001", "44444444-0000-0000-0000-000000000002"];
    await rows(
      `insert into tasks (id, task_type, params, project_id, dependant_on)
       select id, 'vace', '{}', '22222222-0000-0000-0000-000000000001', array[other]
       from (values ($1::uuid, $2::uuid), ($2, $1)) as c (id, other)`,
      circle,
    );
    await migrate(url);
    const state = async (id: string) =>
      (await rows("select status, gate, dependant_on from tasks where id = $1", [id]))[0];
    expect(await state(task(5))).toEqual({ status: "Queued", gate: "open", dependant_on: null });
    expect(await state(task(6))).toEqual({ status: "Queued", gate: "blocked", dependant_on: task(2) });
    expect([await state(circle[0]!), await state(circle[1]!)]).toMatchObject([
      { status: "Failed" },
      { status: "Failed" },
    ]);
  });

  it.each(["text", "enum"] as const)(
    "lets a running orchestrator task wait for the sub-tasks that it has written, with a status of type %s",
    async (kind) => {
      const { url, rows } = await databaseWith(incumbentSchema(kind));
      const add = async (type: string, status: string, parent: string | null, output: string | null) => {
        const [added] = await rows(
          `insert into tasks (task_type, status, params, worker_id, output_location, project_id)
           values ($1, $2, jsonb_build_object('orchestrator_task_id_ref', $3::text), $4, $5,
             '22222222-0000-0000-0000-000000000001') returning id`,
          [type, status, parent, parent === null ? "gpu-living" : null, output],
        );
        return added.id as string;
      };
      const orchestrator = () => add("travel_orchestrator", "In Progress", null, null);
      const [waiting, childless, over] = [await orchestrator(), await orchestrator(), await orchestrator()];
      await add("vace", "Complete", waiting, "https://old.example/a.mp4");
      const last = await add("vace", "Queued", waiting.toUpperCase(), null);
      await add("vace", "Complete", over, "https://old.example/b.mp4");
      await migrate(url);

      const state = async (id: string) =>
        (
          await rows(
            `select status::text, delegated_at is not null as delegated, worker_id, output_location,
               (select count(*)::int from tasks child where child.parent_id = t.id) as children
             from tasks t where id = $1`,
            [id],
          )
        )[0];
      const running = { status: "In Progress", output_location: null };
      expect(await state(waiting)).toEqual({ ...running, delegated: true, worker_id: null, children: 2 });
      expect(await state(childless)).toEqual({ ...running, delegated: false, worker_id: "gpu-living", children: 0 });
      const ended = { status: "Complete", output_location: "https://old.example/b.mp4" };
      expect(await state(over)).toEqual({ ...ended, delegated: false, worker_id: null, children: 1 });

      await rows("update tasks set status = 'Complete', output_location = 'https://new.example/c.mp4' where id = $1", [
        last,
      ]);
      expect(await state(waiting)).toMatchObject({ status: "Complete", output_location: "https://new.example/c.mp4" });
    },
  );

  it.each(["text", "enum"] as const)("serves the old functions and views over a status of type %s", async (kind) => {
    const { url, rows } = await databaseWith(incumbentSchema(kind));
    await migrate(url);
    // Its worker restarts and goes on with the task that it held, now with a lease.
    const claim = "select * from func_claim_available_task(worker_id_param => 'gpu-living')";
    expect(await rows(claim)).toMatchObject([{ id: task(2) }]);
    await rows("select func_mark_task_failed($1, 'out of memory')", [task(2)]);
    const [second] = await rows(claim);
    await rows("select func_update_task_status('tasks', $1, 'Complete', 'https://old.example/2.mp4')", [second.id]);
    expect(await rows("select id from func_get_tasks_by_status(array['Complete'])")).toHaveLength(2);
    await rows("select func_update_worker_heartbeat('gpu-living', 24000, 100)");
    await rows("select func_reset_orphaned_tasks(array['gpu-ended', 'gpu-living'])");
    await rows("begin; set local role service_role; select 1");
    const [third] = await rows(
      "update tasks set status = 'In Progress', worker_id = 'gpu-living' where id = $1 returning status::text",
      [task(5)],
    );
    expect(third).toEqual({ status: "In Progress" });
    await rows("update tasks set status = 'Failed', error_message = 'no' where id = $1", [task(5)]);
    await rows("commit");
    await rows("update tasks set status = 'Cancelled' where status = 'Queued'");
    const views = await rows("select table_name as name from information_schema.views where table_schema = 'public'");
    expect(views.length).toBeGreaterThan(7);
    for (const { name } of views) {
      await rows(`select * from ${name}`);
    }
    await rows(
      "select pool_open('main'), pool_observe('main', null, true, 30), expire_external_workers('main', 300, 300)",
    );
  });

  it("takes columns that have the names of ours for its own leases and progress, whatever they held", async () => {
    const { url, rows } = await databaseWith(incumbentSchema("text"));
    await rows(`alter table tasks add column progress integer default 0, add column progress_message varchar(20),
      add column leases bigint, add column lease_token text, add column lease_ended_at timestamp`);
    await rows("update tasks set progress = 73, lease_token = gen_random_uuid(), lease_ended_at = now()");
    await migrate(url);
    const attempts = "select task_id, attempt, progress, ended_at from task_attempts";
    expect(await rows(attempts)).toEqual([{ task_id: task(2), attempt: 1, progress: null, ended_at: null }]);
    const lease = await claimed(rows, "gpu-living");
    const report = "select report_progress($1, $2, 0.25, $3) as answer";
    const [{ answer }] = await rows(report, [lease?.task_id, lease?.lease_token, "x".repeat(100)]);
    expect(answer).toEqual({ held: true });
    expect(await rows(attempts)).toMatchObject([{ task_id: task(2), progress: 0.25 }]);
    await rows("select finish_task($1, $2, null, null, '{}')", [lease?.task_id, lease?.lease_token]);
    expect(await claimed(rows, "gpu-living")).toMatchObject({ task_id: task(4), attempt: 1 });
  });

  it("reads the names that other programs gave to a status, and refuses an unknown one without changing anything", async () => {
    const renamed = `${incumbentSchema("text")} update tasks set status = 'completed' where status = 'Complete';`;
    const { url, rows } = await databaseWith(renamed);
    await rows("update tasks set status = 'Paused' where id = $1", [task(5)]);
    await expect(migrate(url)).rejects.toThrow(/cannot adopt tasks: status Paused has no meaning here/);
    expect(await rows("select status from tasks where id = $1", [task(1)])).toEqual([{ status: "completed" }]);
    await rows("update tasks set status = 'Queued' where id = $1", [task(5)]);
    await migrate(url);
    expect(await rows("select status from tasks where id = $1", [task(1)])).toEqual([{ status: "Complete" }]);
  });

  it("keeps the log lines in the order of their times, and adds new ones after them", async () => {
    const { url, rows } = await databaseWith(incumbentSchema("enum"));
    await migrate(url);
    const line = { level: "INFO", message: "new line", source_type: "orchestrator_gpu" };
    const [{ answer }] = await rows("select func_insert_logs_batch($1) as answer", [JSON.stringify([line])]);
    expect(answer).toEqual({ success: true, inserted: 1, errors: 0 });
    expect(await rows("select id::int, message, source_id, metadata from system_logs order by id")).toEqual([
      { id: 1, message: "old line 1", source_id: "gpu-living", metadata: {} },
      { id: 2, message: "old line 2", source_id: "gpu-living", metadata: {} },
      { id: 3, message: "old line 3", source_id: "gpu-living", metadata: {} },
      { id: 4, message: "new line", source_id: null, metadata: {} },
    ]);
  });

  it("drops the policies of its tables so that no caller reads the rows of others, and reports what it did and did not", async () => {
    const { url, rows } = await databaseWith(incumbentSchema("text"));
    await rows("create policy theirs on generations using (true)");
    await rows("alter table task_types add column team text; update task_types set team = 'films'");
    await rows("alter table task_types alter column team set not null");
    const notices: string[] = [];
    await migrate(url, (message) => notices.push(message));
    const dropped = [
      '"own or shared" on projects',
      '"anyone reads logs" on system_logs',
      '"tasks are visible" on tasks',
    ];
    expect(notices.filter((notice) => notice.startsWith("policy"))).toEqual(
      dropped.map(
        (policy) => `policy ${policy} was dropped: it could open rows under the rights that are granted here`,
      ),
    );
    expect(await rows("select policyname from pg_policies where tablename = 'generations'")).toHaveLength(1);
    // What a table requires beyond a name is theirs to say, so their task types stay the only ones.
    expect(notices).toContainEqual(expect.stringMatching(/^the known task types were not added to task_types: .*team/));
    expect(await rows("select name from task_types order by name")).toEqual([
      { name: "image-upscale" },
      { name: "vace" },
    ]);
    const seenBy = async (user: string) => {
      await rows("begin; set local role authenticated; select 1");
      await rows("select set_config('request.jwt.claims', $1, true)", [JSON.stringify({ sub: user })]);
      const [seen] = await rows(
        "select (select count(*)::int from tasks) as tasks, count(*)::int as projects from projects",
      );
      await rows("rollback");
      return seen;
    };
    expect(await seenBy("99999999-0000-0000-0000-000000000009")).toEqual({ tasks: 0, projects: 0 });
    expect(await seenBy("11111111-0000-0000-0000-000000000001")).toEqual({ tasks: 9, projects: 1 });
  });

  it("converts ids from text to uuid, and names the column that it cannot convert", async () => {
    const older = (id: string) => `
      create table workers (id text primary key, status text, metadata text);
      create table tasks (id text primary key, task_type text not null, params text not null default '{}', status text not null,
        dependant_on text, project_id text, worker_id text, created_at timestamp default now());
      insert into tasks (id, task_type, status) values ('${id}', 'vace', 'Queued');`;
    const good = await databaseWith(older(task(1)));
    await migrate(good.url);
    expect(await good.rows("select id, project_id, gate from tasks")).toEqual([
      { id: task(1), project_id: "00000000-0000-0000-0000-000000000000", gate: "open" },
    ]);
    const bad = await databaseWith(older("task-1"));
    await expect(migrate(bad.url)).rejects.toThrow(/cannot adopt tasks.id: it is of type text and must become uuid/);
  });
});
