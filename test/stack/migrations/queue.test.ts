import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterEach, describe, expect, inject, it } from "vitest";
import { bootstrapSupabase } from "../../../src/dev/servers/supabase-roles.ts";
import { migrate } from "../../../src/supabase/migrate.ts";
import { MIGRATIONS_TABLE } from "../../../src/supabase/migration-files.ts";

describe("the migrations", () => {
  const { superuserUrl, authenticatorPassword } = inject("shared");
  const made: string[] = [];

  const query = async (connectionString: string, statement: string) => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(statement)).rows;
    } finally {
      await client.end();
    }
  };
  const emptyDatabase = async () => {
    const name = `migrations_${randomBytes(6).toString("hex")}`;
    await query(superuserUrl, `create database ${name}`);
    made.push(name);
    const url = new URL(superuserUrl);
    url.pathname = `/${name}`;
    await bootstrapSupabase({ databaseUrl: url.href, authenticatorPassword });
    return url.href;
  };
  afterEach(async () => {
    for (const name of made.splice(0)) {
      await query(superuserUrl, `drop database ${name} with (force)`);
    }
  });
  const files = async () =>
    (await readdir(fileURLToPath(new URL("../../../sql", import.meta.url))))
      .filter((name) => name.endsWith(".sql"))
      .map((name) => name.replace(/\.sql$/, ""))
      .toSorted();

  it("describe the rows of each table in a comment, and let a deletion find dependent tasks by an index", async () => {
    const url = await emptyDatabase();
    await migrate(url);
    const silent = `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
      and relname <> '${MIGRATIONS_TABLE}' and obj_description(oid, 'pg_class') is null`;
    expect(await query(url, silent)).toEqual([]);
    const plan = await query(
      `${url}?options=${encodeURIComponent("-c enable_seqscan=off")}`,
      "explain select 1 from only tasks x where dependant_on = '33333333-0000-0000-0000-000000000001' for key share of x",
    );
    expect(JSON.stringify(plan)).toContain("tasks_dependant");
  });

  it("are applied once, in the order of their names, and a second run does nothing", async () => {
    const url = await emptyDatabase();
    const names = await files();
    expect(await migrate(url)).toEqual(names);
    expect(await migrate(url)).toEqual([]);
    const recorded = await query(url, `select name from ${MIGRATIONS_TABLE} order by id`);
    expect(recorded.map(({ name }) => name)).toEqual(names);
  });

  it("exclude each other when two runs start at once: each file is applied by one of them", async () => {
    const url = await emptyDatabase();
    const runs = await Promise.all([migrate(url), migrate(url), migrate(url)]);
    expect(runs.flat().toSorted()).toEqual(await files());
  });

  it("keep the rows of all tables when they run again", async () => {
    const url = await emptyDatabase();
    await migrate(url);
    await query(url, "insert into tasks (task_type) values ('generate_video')");
    await migrate(url);
    expect(await query(url, "select status, gate, pool from tasks")).toEqual([
      { status: "Queued", gate: "open", pool: "main" },
    ]);
  });

  it("work without the automatic grants that a hosted project may have", async () => {
    const url = await emptyDatabase();
    for (const kind of ["tables", "functions", "sequences"]) {
      await query(
        url,
        `alter default privileges in schema public revoke all on ${kind} from anon, authenticated, service_role`,
      );
    }
    await migrate(url);
    await query(
      url,
      `begin;
       set local role service_role;
       select pool_open('main', '{}');
       insert into workers (id, pool) values ('main-1', 'main');
       select worker_heartbeat('main-1');
       insert into tasks (task_type) values ('generate_video');
       select claim_task('main-1');
       commit`,
    );
    expect(await query(url, "select status, attempts from tasks")).toEqual([{ status: "In Progress", attempts: 1 }]);
  });
});
