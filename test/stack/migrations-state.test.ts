import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { afterEach, describe, expect, inject, it } from "vitest";
import { generatedFiles } from "../../scripts/generate-types.ts";
import { bootstrapSupabase } from "../../src/dev/supabase-roles.ts";
import { compareCatalogs, expectedCatalog, readCatalog } from "../../src/supabase/catalog.ts";
import { migrationNames, migrationScript, SQL_DIRECTORY } from "../../src/supabase/migration-files.ts";
import { appliedMigrations, ensureBucket, migrate, withClient } from "../../src/supabase/migrate.ts";
import { incumbentSchema } from "../kit/incumbent.ts";
import { runClient } from "./client-kit.ts";

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
  const drift = async (url: string) => compareCatalogs(await expectedCatalog(), await withClient(url, readCatalog));
  const cli = (url: string, ...args: string[]) =>
    runClient(["db", ...args], { cwd: tmpdir(), env: { SUPABASE_DB_URL: url } });

  it("is the committed one after the migrations, in catalog and types", async () => {
    const url = await emptyDatabase();
    await migrate(url);
    const files = await withClient(url, generatedFiles);
    for (const file of files) {
      const isCurrent = (await readFile(file.url, "utf8")) === file.text;
      // Where it is not: npx tsx scripts/generate-types.ts --write
      expect({ file: fileURLToPath(file.url), isCurrent }).toMatchObject({ isCurrent: true });
    }
    expect(await drift(url)).toEqual([]);
  });

  it.each(["text", "enum"] as const)(
    "has no drift after an older orchestrator's tables were adopted, status %s",
    async (kind) => {
      const url = await emptyDatabase();
      await run(url, incumbentSchema(kind));
      await migrate(url);
      expect(await drift(url)).toEqual([]);
    },
  );

  it("comes from the printed script as from the command; the script may be run again, and both be mixed", async () => {
    const url = await emptyDatabase();
    const script = await migrationScript("clips");
    await run(url, script);
    expect(await appliedMigrations(url)).toEqual(await migrationNames());
    expect(await drift(url)).toEqual([]);
    expect(await rows(url, "select id, public from storage.buckets")).toEqual([{ id: "clips", public: true }]);
    await run(url, "insert into tasks (task_type) values ('generate_video')");
    await run(url, script);
    expect(await migrate(url)).toEqual([]);
    expect(await rows(url, "select count(*)::int as n from tasks")).toEqual([{ n: 1 }]);
  });

  it("comes from the printed script over an older orchestrator's tables too", async () => {
    const url = await emptyDatabase();
    await run(url, incumbentSchema("enum"));
    await run(url, await migrationScript("videos"));
    expect(await rows(url, "select count(*)::int as n from tasks")).toEqual([{ n: 9 }]);
    expect(await migrate(url)).toEqual([]);
  });

  it("shows a change by hand as drift: what is missing, what differs, what callers could meet instead", async () => {
    const url = await emptyDatabase();
    await migrate(url);
    await run(
      url,
      `drop index tasks_open;
       alter table tasks alter column vtime type numeric;
       alter table workers disable row level security;
       grant execute on function drain_worker(text, text, boolean) to anon;
       create function claim_task(p_worker_id text, p_extra text) returns text language sql as 'select 1::text';
       create table of_somebody_else (id int)`,
    );
    expect((await drift(url)).map(({ object, kind }) => `${kind} ${object}`).toSorted()).toEqual(
      [
        "different column tasks.vtime",
        "different function drain_worker(p_worker_id text, p_reason text, p_only_idle boolean)",
        "different table workers",
        "missing index tasks_open",
        "unexpected function claim_task(p_worker_id text, p_extra text)",
      ].toSorted(),
    );
  });

  it("has a public bucket once asked for, also where it was private", async () => {
    const url = await emptyDatabase();
    expect(await ensureBucket(url, "videos")).toBe("created");
    expect(await ensureBucket(url, "videos")).toBeNull();
    await run(url, "update storage.buckets set public = false");
    expect(await ensureBucket(url, "videos")).toBe("made public");
    expect(await rows(url, "select id, public from storage.buckets")).toEqual([{ id: "videos", public: true }]);
    await run(url, "drop schema storage cascade");
    expect(await ensureBucket(url, "videos")).toBeNull();
  });

  it("is told by the command: status, verify and their exit codes", async () => {
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
  });

  it("stays as it is when the migrations of the tables meet their own objects", async () => {
    const url = await emptyDatabase();
    await migrate(url);
    await run(url, "insert into tasks (task_type) values ('generate_video')");
    for (const name of ["20261122000050_adopt", "20261122000100_tables", "20261122001100_external_workers"]) {
      await run(url, `begin; ${await readFile(new URL(`${name}.sql`, SQL_DIRECTORY), "utf8")} commit;`);
    }
    expect(await drift(url)).toEqual([]);
    expect(await rows(url, "select status, gate from tasks")).toEqual([{ status: "Queued", gate: "open" }]);
  });

  it("needs no connection to be printed", async () => {
    const { exitCode, stdout } = await runClient(["db", "migrate", "--print"], { cwd: tmpdir(), env: {} });
    expect(exitCode).toBe(0);
    expect(stdout.trim()).toBe((await migrationScript("videos")).trim());
  });
});
