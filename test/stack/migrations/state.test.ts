import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { afterEach, describe, expect, inject, it } from "vitest";
import { generatedFiles } from "../../../scripts/generate-types.ts";
import { bootstrapSupabase } from "../../../src/dev/servers/supabase-roles.ts";
import { compareCatalogs, expectedCatalog, readCatalog } from "../../../src/supabase/catalog.ts";
import { MIGRATIONS_TABLE, migrationNames, migrationScript } from "../../../src/supabase/migration-files.ts";
import { appliedMigrations, ensureBucket, migrate, withClient } from "../../../src/supabase/migrate.ts";
import { incumbentSchema } from "../../kit/incumbent.ts";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";
import { runClient } from "../../kit/client.ts";

/** A row in every table, in use: a lease, a waiting sub-task, a limit, a due notification. */
const inhabitants = `
  insert into pools (name) values ('main');
  insert into pool_measurements (pool) values ('main');
  insert into service_times values ('main', 'generate_video', null, 'NVIDIA L40S', now(), 180);
  insert into projects (id, name, user_id, max_running) values (gen_random_uuid(), 'films', gen_random_uuid(), 2);
  insert into user_api_tokens (user_id, token_hash) select user_id, 'hash' from projects where name = 'films';
  insert into no_funds default values;
  insert into janitor_sightings (subject) values ('pod-1');
  insert into placement_misses values ('main', 'NVIDIA L40S', 'SECURE', '', 32, now(), 'no stock');
  insert into notification_endpoints (url, secret, kinds)
    values ('https://example.com/hook', repeat('s', 40), array['task.completed', 'task.failed', 'pool.alert']);
  insert into workers (id, pool, status, origin) values ('main-0a1b2c3d', 'main', 'active', 'pool'), ('box', 'main', 'active', 'external');
  insert into workers (id, pool, origin) values ('main-0b1c2d3e', 'main', 'job');
  insert into pod_jobs (worker_id, purpose, details, timeout_sec) values ('main-0b1c2d3e', 'spawn-test', '{}', 60);
  insert into prepared_volumes (volume_id, manifest) values ('vol1', '{}');
  insert into volume_requests (name) values ('weights');
  insert into tasks (task_type, project_id) select 'generate_video', id from projects, generate_series(1, 4) where name = 'films';
  insert into tasks (task_type, dependant_on) select 'generate_video', id from tasks limit 1;
  select claim_task('main-0a1b2c3d');
  select fail_task(id, lease_token, 'no model') from tasks where lease_token is not null;
  select claim_task('main-0a1b2c3d'), process_beat(gen_random_uuid(), 'host', 1, '0.1.0', 'gpu-pool');
  select keep_request(id, lease_token, 'replicate', 'p1', 'a mark') from tasks where lease_token is not null;
  select metrics_read(id) from worker_processes;
  select record_minute('main');
  insert into wake_requests (pool) values ('main');
  update tasks set status = 'Cancelled' where status = 'Queued' and gate = 'open' and project_id <> '00000000-0000-0000-0000-000000000000';
  select fail_worker('box', 'worker_died', 'for its diagnostics'), open_alert('pool_silent', 'main', 'main', 'for its notification');
  select store_logs('[{"level": "INFO", "message": "hello", "source_type": "worker"}]', p_worker_id => 'box');`;

describe("the state of a database", () => {
  const { superuserUrl, authenticatorPassword } = inject("shared");
  const undo: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of undo.splice(0).reverse()) {
      await end();
    }
  });

  async function emptyDatabase(): Promise<string> {
    const name = `state_${randomBytes(6).toString("hex")}`;
    await withClient(superuserUrl, (client) => client.query(`create database ${name}`));
    undo.push(() => withClient(superuserUrl, (client) => client.query(`drop database ${name} with (force)`)));
    const url = new URL(superuserUrl);
    url.pathname = `/${name}`;
    await bootstrapSupabase({ databaseUrl: url.href, authenticatorPassword });
    return url.href;
  }
  const run = (url: string, text: string) =>
    withClient(url, async (client) => (await client.query(text)) as pg.QueryResult);
  const rows = async (url: string, text: string) => (await run(url, text)).rows as Record<string, unknown>[];
  const everyRow = async (url: string): Promise<Record<string, unknown[]>> => {
    const tables = await rows(
      url,
      `select relname as name from pg_class
       where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '${MIGRATIONS_TABLE}'`,
    );
    const contents = tables.map(async ({ name }) => {
      const content = await rows(url, `select to_jsonb(t) as row from ${String(name)} t order by to_jsonb(t)::text`);
      return [String(name), content] as const;
    });
    return Object.fromEntries(await Promise.all(contents));
  };
  const drift = async (url: string) => compareCatalogs(await expectedCatalog(), await withClient(url, readCatalog));
  const cli = (url: string, ...args: string[]) =>
    runClient(["db", ...args], { cwd: tmpdir(), env: { SUPABASE_DB_URL: url } });

  it("matches the committed catalog and types after the migrations", async () => {
    const url = await emptyDatabase();
    await migrate(url);
    const files = await withClient(url, generatedFiles);
    for (const file of files) {
      const isCurrent = (await readFile(file.url, "utf8")) === file.text;
      // If it does not match: npx tsx scripts/generate-types.ts --write
      expect({ file: fileURLToPath(file.url), isCurrent }).toMatchObject({ isCurrent: true });
    }
    expect(await drift(url)).toEqual([]);
  });

  it.each(["text", "enum"] as const)(
    "has no drift after the incumbent's tables were adopted, status %s",
    async (kind) => {
      const url = await emptyDatabase();
      await run(url, incumbentSchema(kind));
      await migrate(url);
      expect(await drift(url)).toEqual([]);
    },
  );

  const typesOf = (url: string) =>
    rows(url, "select name, alias_of, pool, stuck_timeout_sec, expected_sec from task_types order by 1");
  const TYPES = TASK_TYPES.flatMap(({ name, aliases, stuckTimeoutSec: stuck, expectedSec: expected }) => [
    { name, alias_of: null, pool: "main", stuck_timeout_sec: stuck, expected_sec: expected },
    ...aliases.map((alias) => ({
      name: alias,
      alias_of: name,
      pool: "main",
      stuck_timeout_sec: null,
      expected_sec: null,
    })),
  ]).toSorted((a, b) => (a.name < b.name ? -1 : 1));

  it("has the types of a module that the environment names, which a later migration without it leaves", async () => {
    const url = await emptyDatabase();
    const module = fileURLToPath(new URL("../../../docs/examples/own-task-types.mjs", import.meta.url));
    const env = { SUPABASE_DB_URL: url, TASK_TYPE_MODULES: module };
    expect(await runClient(["db", "migrate"], { cwd: tmpdir(), env })).toMatchObject({ exitCode: 0 });
    await migrate(url);
    const own = (await typesOf(url)).filter(({ name }) => ["turn_video", "rotate_video"].includes(String(name)));
    expect(own).toMatchObject([
      { name: "rotate_video", alias_of: "turn_video", stuck_timeout_sec: null },
      { name: "turn_video", alias_of: null, stuck_timeout_sec: 600 },
    ]);
  });

  it("has the task types of the program; what somebody changed or added stays, and what is missing comes back", async () => {
    const url = await emptyDatabase();
    await migrate(url);
    expect((await typesOf(url)).toSorted((a, b) => (String(a["name"]) < String(b["name"]) ? -1 : 1))).toEqual(TYPES);
    await run(
      url,
      `delete from task_types where name in ('flux', 'video_generation');
       update task_types set pool = 'night', stuck_timeout_sec = 60, expected_sec = 5 where name = 'travel_stitch';
       insert into task_types (name, alias_of) values ('mine', 'vace')`,
    );
    expect(await migrate(url)).toEqual([]);
    const found = new Map((await typesOf(url)).map(({ name, ...row }) => [name, row]));
    expect(found.size).toBe(TYPES.length + 1);
    expect(found.get("flux")).toMatchObject({ alias_of: null, pool: "main", stuck_timeout_sec: null });
    expect(found.get("video_generation")).toMatchObject({ alias_of: "generate_video" });
    expect(found.get("travel_stitch")).toMatchObject({ pool: "night", stuck_timeout_sec: 60, expected_sec: 5 });
    expect(found.get("mine")).toMatchObject({ alias_of: "vace" });
    // An alias would take a task from an older worker that claims by its name.
    const names = TASK_TYPES.map(({ name }) => `('${name}', '{}')`).join(", ");
    await run(url, `insert into tasks (task_type, params) values ${names}`);
    const stored = await rows(url, "select task_type from tasks");
    expect(new Set(stored.map(({ task_type: type }) => type))).toEqual(new Set(TASK_TYPES.map(({ name }) => name)));
  });

  it("is the same by the printed script and by the command; the script may be run again, and both may be mixed", async () => {
    const url = await emptyDatabase();
    const script = await migrationScript("clips");
    await run(url, script);
    expect(await appliedMigrations(url)).toEqual(await migrationNames());
    expect(await drift(url)).toEqual([]);
    expect(await typesOf(url)).toHaveLength(TYPES.length);
    expect(await rows(url, "select id, public from storage.buckets")).toEqual([{ id: "clips", public: true }]);
    await run(url, "insert into tasks (task_type) values ('generate_video')");
    await run(url, script);
    expect(await migrate(url)).toEqual([]);
    expect(await rows(url, "select count(*)::int as n from tasks")).toEqual([{ n: 1 }]);
  });

  it("is the same by the printed script over the incumbent's tables", async () => {
    const url = await emptyDatabase();
    await run(url, incumbentSchema("enum"));
    await run(url, await migrationScript("videos"));
    expect(await rows(url, "select count(*)::int as n from tasks")).toEqual([{ n: 9 }]);
    expect(await migrate(url)).toEqual([]);
  });

  it("shows a manual change as drift: missing objects, changed ones, and unexpected ones that callers could reach", async () => {
    const url = await emptyDatabase();
    await migrate(url);
    await run(
      url,
      `drop index tasks_open;
       alter table tasks alter column vtime type numeric;
       alter table workers disable row level security;
       grant execute on function drain_worker(text, text, boolean, boolean) to anon;
       create function claim_task(p_worker_id text, p_extra text) returns text language sql as 'select 1::text';
       create policy everybody on tasks for select using (true);
       create table of_somebody_else (id int);
       create policy theirs on of_somebody_else using (true)`,
    );
    expect((await drift(url)).map(({ object, kind }) => `${kind} ${object}`).toSorted()).toEqual(
      [
        "different column tasks.vtime",
        "different function drain_worker(p_worker_id text, p_reason text, p_only_idle boolean, p_until_task_ends boolean)",
        "different table workers",
        "missing index tasks_open",
        "unexpected function claim_task(p_worker_id text, p_extra text)",
        "unexpected policy tasks.everybody",
      ].toSorted(),
    );
  });

  it("has a public bucket if that is configured, also if it was private before", async () => {
    const url = await emptyDatabase();
    expect(await ensureBucket(url, "videos")).toBe("created");
    expect(await ensureBucket(url, "videos")).toBeNull();
    await run(url, "update storage.buckets set public = false");
    expect(await ensureBucket(url, "videos")).toBe("made public");
    expect(await rows(url, "select id, public from storage.buckets")).toEqual([{ id: "videos", public: true }]);
    await run(url, "drop schema storage cascade");
    expect(await ensureBucket(url, "videos")).toBeNull();
  });

  it("is reported by the commands status and verify, with their exit codes", async () => {
    const url = await emptyDatabase();
    const names = await migrationNames();
    const before = await cli(url, "status", "--json");
    expect([before.exitCode, JSON.parse(before.stdout)]).toEqual([1, { applied: [], pending: names, unknown: [] }]);
    const migrated = await cli(url, "migrate");
    expect(migrated.stdout.split("\n")).toEqual([
      ...names.map((name) => `applied ${name}`),
      "created: storage bucket videos",
    ]);
    expect((await cli(url, "migrate")).stdout).toBe("nothing to do");
    const after = await cli(url, "status");
    expect([after.exitCode, after.stdout.split("\n").at(-1)]).toEqual([0, "up to date"]);
    expect((await cli(url, "verify")).exitCode).toBe(0);
    await run(url, "drop index tasks_open");
    const verified = await cli(url, "verify");
    expect([verified.exitCode, verified.stdout]).toEqual([1, expect.stringContaining("missing     index tasks_open")]);
    expect((await cli(url, "migrate")).stdout).toBe(
      "notice: the schema is not what the migrations make, differences: 1; see gpu-pool db verify",
    );
    await run(url, `delete from ${MIGRATIONS_TABLE} where name = '${names[0]}'`);
    const otherHistory = await cli(url, "migrate");
    expect([otherHistory.exitCode, otherHistory.stderr]).toEqual([
      1,
      expect.stringContaining("Another version of this program migrated this database"),
    ]);
  });

  it.each([
    ["of its own", "", inhabitants],
    ["adopted from an older orchestrator", incumbentSchema("enum"), ""],
  ])("keeps tables %s as they are when the record is lost and all is applied again", async (_whose, before, after) => {
    const url = await emptyDatabase();
    await run(url, before);
    await migrate(url);
    await run(url, after);
    const content = await everyRow(url);
    await run(url, `drop table ${MIGRATIONS_TABLE}`);
    expect(await migrate(url)).toEqual(await migrationNames());
    expect(await everyRow(url)).toEqual(content);
    expect(await drift(url)).toEqual([]);
    const isEverywhere = Object.values(content).every((found) => found.length > 0);
    expect(isEverywhere).toBe(after === inhabitants);
  });

  it("can be printed as a script without a connection", async () => {
    const { exitCode, stdout } = await runClient(["db", "migrate", "--print"], { cwd: tmpdir(), env: {} });
    expect(exitCode).toBe(0);
    expect(stdout.trim()).toBe((await migrationScript("videos")).trim());
  });
});
