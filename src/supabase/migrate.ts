import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import pg from "pg";
import type { TaskType } from "../task-types/task-type.ts";
import { compareCatalogs, type Drift, expectedCatalog, readCatalog } from "./catalog.ts";
import { MIGRATIONS_TABLE, migrationNames, SQL_DIRECTORY } from "./migration-files.ts";
import { missingTaskTypes } from "./task-types/missing-types.ts";

/**
 * Applies the migrations of `sql/` that the database lacks, in one transaction each; two that run at once take turns. Then it
 * adds the task types that are missing.
 * @param databaseUrl a direct connection of the database's owner (SUPABASE_DB_URL).
 * @param onNotice gets the notices that migrations raise, such as one about an object that was dropped.
 * @param types the known types and own ones; left out: the known ones.
 * @returns the names of those that were applied now.
 */
export async function migrate(
  databaseUrl: string,
  onNotice?: (message: string) => void,
  types?: readonly TaskType[],
): Promise<string[]> {
  return await withClient(databaseUrl, async (client) => {
    // Postgres also sends a notice for each "if not exists"; only those that a migration raised are passed on.
    client.on("notice", ({ message, where }) => {
      if (message !== undefined && where?.split("\n")[0]?.endsWith("at RAISE") === true) {
        onNotice?.(message);
      }
    });
    const applied = await runner({
      dbClient: client,
      dir: fileURLToPath(SQL_DIRECTORY),
      direction: "up",
      migrationsTable: MIGRATIONS_TABLE,
      singleTransaction: false,
      advisoryLockMode: "wait",
      verbose: false,
      log: () => undefined,
    });
    await client.query(missingTaskTypes(types));
    // PostgREST reads the schema once; this makes it look again.
    await client.query("notify pgrst, 'reload schema'");
    return applied.map(({ name }) => name);
  });
}

/**
 * Creates the public bucket for finished videos, or makes an existing one public. Where there is no storage schema
 * there is nothing to do.
 * @returns what was done, or null.
 */
export async function ensureBucket(databaseUrl: string, bucket: string): Promise<"created" | "made public" | null> {
  return await withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(
      "select to_regclass('storage.buckets') is not null as there",
    );
    if (!rows[0]?.there) {
      return null;
    }
    const added = "insert into storage.buckets (id, name, public) values ($1, $1, true) on conflict do nothing";
    if ((await client.query(added, [bucket])).rowCount === 1) {
      return "created";
    }
    const opened = "update storage.buckets set public = true where id = $1 and public is distinct from true";
    return (await client.query(opened, [bucket])).rowCount === 1 ? "made public" : null;
  });
}

/** The names of the applied migrations, in their order; none where nothing was ever migrated. */
export async function appliedMigrations(databaseUrl: string): Promise<string[]> {
  return await withClient(databaseUrl, async (client) => {
    const table = `public.${MIGRATIONS_TABLE}`;
    const { rows } = await client.query<{ there: boolean }>("select to_regclass($1) is not null as there", [table]);
    if (!rows[0]?.there) {
      return [];
    }
    const applied = await client.query<{ name: string }>(`select name from ${table} order by id`);
    return applied.rows.map(({ name }) => name);
  });
}

/**
 * Applied migrations that this program lacks or has in another position: another version of it made the database.
 * @returns their names; none where only the newest migrations are pending.
 */
export async function misplacedMigrations(databaseUrl: string): Promise<string[]> {
  const known = await migrationNames();
  return (await appliedMigrations(databaseUrl)).filter((name, index) => name !== known[index]);
}

/** Where the schema differs from what all migrations make. A pending migration shows too. */
export async function schemaDrift(databaseUrl: string): Promise<Drift[]> {
  return compareCatalogs(await expectedCatalog(), await withClient(databaseUrl, readCatalog));
}

/** Runs `use` with a connection of its own. */
export async function withClient<T>(databaseUrl: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
