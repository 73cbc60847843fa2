import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { migrateDataDir } from "../../../src/dev/migrate-data-dir.ts";
import { appliedMigrations } from "../../../src/supabase/migrate.ts";
import { MIGRATIONS_TABLE, migrationNames } from "../../../src/supabase/migration-files.ts";
import { createEmptyDatabase, type TestDatabase } from "../../kit/database.ts";

const DATA_DIR = "/somewhere/.gpu-pool/dev";

describe("the database of a data directory", () => {
  let database: TestDatabase;
  const start = () => migrateDataDir(database.databaseUrl, DATA_DIR);
  beforeEach(async () => {
    database = await createEmptyDatabase();
    expect(await start()).toEqual(await migrationNames());
  });
  afterEach(() => database.drop());

  it("is used again, also with objects that somebody added", async () => {
    await database.sql.query(
      "create table notes (id int); create function my_own() returns int language sql as 'select 1'",
    );
    expect(await start()).toEqual([]);
  });

  it("gets the migrations that are newer than itself", async () => {
    const newest = (await migrationNames()).at(-1);
    await database.sql.query(`delete from ${MIGRATIONS_TABLE} where name = $1`, [newest]);
    expect(await start()).toEqual([newest]);
  });

  it.each([
    [
      "a function",
      "create or replace function is_service() returns boolean language sql stable set search_path = public, pg_temp as 'select false'",
      "different: function is_service\\(\\)",
    ],
    ["a right", "grant execute on function is_service() to anon", "different: function is_service\\(\\)"],
    ["an index", "drop index tasks_open", "missing: index tasks_open"],
    [
      "a column",
      "alter table workers rename column drains_without_deadline to lingers",
      "missing: column workers\\.drains_without_deadline",
    ],
  ])("is refused when an older text of a migration made %s otherwise", async (_what, older, evidence) => {
    await database.sql.query(older);
    await expect(start()).rejects.toThrow(
      new RegExp(
        `^the database in ${DATA_DIR} is not what .* make \\(${evidence}\\).*; delete that directory, with the tasks`,
      ),
    );
  });

  it("is refused with the same advice when a newer migration fails on tables that an older text made", async () => {
    await database.sql.query(`delete from ${MIGRATIONS_TABLE} where name >= '20261122000800'`);
    await database.sql.query("alter table workers rename column cost_usd to cost");
    await expect(start()).rejects.toThrow(/cost_usd.*; delete that directory, with the tasks/s);
  });

  it("is refused untouched when it records migrations of other names", async () => {
    const names = await migrationNames();
    const old = names.map((name) => name.replace("_queue", "_old_queue"));
    await database.sql.query(`update ${MIGRATIONS_TABLE} set name = replace(name, '_queue', '_old_queue')`);
    await database.sql.query(`delete from ${MIGRATIONS_TABLE} where name = $1`, [names.at(-1)]);
    await expect(start()).rejects.toThrow(/\(it records \d+_old_queue\)/);
    expect(await appliedMigrations(database.databaseUrl)).toEqual(old.slice(0, -1));
  });
});
