import { readdir, readFile } from "node:fs/promises";
import type { TaskType } from "../task-types/task-type.ts";
import { missingTaskTypes } from "./task-types/missing-types.ts";

export const SQL_DIRECTORY = new URL("../../sql/", import.meta.url);

/** It has a name of its own, because other migration tools may use the same database. */
export const MIGRATIONS_TABLE = "gpu_pool_migrations";

/** The key under which node-pg-migrate takes turns, so that a printed script takes turns with it. */
const LOCK_KEY = "7241865325823964";

/** The names of all migrations in the order in which they are applied. */
export async function migrationNames(): Promise<string[]> {
  const files = await readdir(SQL_DIRECTORY);
  return files
    .filter((file) => file.endsWith(".sql"))
    .map((file) => file.slice(0, -".sql".length))
    .toSorted();
}

/**
 * All migrations as one script for an SQL editor. It applies what the database lacks, each in a transaction of its own, and
 * keeps the same record as `gpu-pool db migrate`: it may be run again, and both may be mixed. It adds the same task types.
 * @param bucket also created, public, where there is a storage schema.
 */
export async function migrationScript(bucket: string, types?: readonly TaskType[]): Promise<string> {
  const names = await migrationNames();
  const guarded = await Promise.all(names.map(guardedMigration));
  return [
    "-- Run all of it as the database's owner. It may be run again: what is applied already is skipped.",
    `create table if not exists public.${MIGRATIONS_TABLE} (id serial primary key, name varchar(255) not null, run_on timestamp not null);`,
    ...guarded,
    missingTaskTypes(types),
    createBucket(bucket),
    "notify pgrst, 'reload schema';",
    "",
  ].join("\n\n");
}

async function guardedMigration(name: string): Promise<string> {
  const sql = await readFile(new URL(`${name}.sql`, SQL_DIRECTORY), "utf8");
  return `begin;
select pg_advisory_xact_lock(${LOCK_KEY});
do $gpu_pool_guard$
begin
  if not exists (select from public.${MIGRATIONS_TABLE} where name = '${name}') then
    execute $gpu_pool_sql$
${sql}$gpu_pool_sql$;
    insert into public.${MIGRATIONS_TABLE} (name, run_on) values ('${name}', now());
  end if;
end $gpu_pool_guard$;
commit;`;
}

function createBucket(bucket: string): string {
  const name = `'${bucket.replaceAll("'", "''")}'`;
  return `do $gpu_pool_guard$
begin
  if to_regclass('storage.buckets') is not null then
    insert into storage.buckets (id, name, public) values (${name}, ${name}, true)
    on conflict (id) do update set public = true where storage.buckets.public is distinct from true;
  end if;
end $gpu_pool_guard$;`;
}
