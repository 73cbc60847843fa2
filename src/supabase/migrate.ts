import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import pg from "pg";

/** Of this project alone: other migration tools may share the database. */
export const MIGRATIONS_TABLE = "gpu_pool_migrations";

/**
 * Applies the migrations of `sql/` that the database lacks, in one transaction each; two that run at once take turns.
 * @param databaseUrl a direct connection of the database's owner (SUPABASE_DB_URL).
 * @returns the names of those that were applied now.
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const applied = await runner({
      dbClient: client,
      dir: fileURLToPath(new URL("../../sql", import.meta.url)),
      direction: "up",
      migrationsTable: MIGRATIONS_TABLE,
      singleTransaction: false,
      advisoryLockMode: "wait",
      verbose: false,
      log: () => undefined,
    });
    // PostgREST reads the schema once; this makes it look again.
    await client.query("notify pgrst, 'reload schema'");
    return applied.map(({ name }) => name);
  } finally {
    await client.end();
  }
}
