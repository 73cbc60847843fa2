import { appliedMigrations, migrate, misplacedMigrations, schemaDrift } from "../supabase/migrate.ts";

/**
 * Migrates the database of a data directory.
 * @returns the names of the migrations that were applied now.
 * @throws when another text of the migrations made the database: until the first release they are edited in place, and
 * an applied migration is not applied again.
 */
export async function migrateDataDir(databaseUrl: string, dataDir: string): Promise<string[]> {
  const [misplaced] = await misplacedMigrations(databaseUrl);
  if (misplaced !== undefined) {
    throw otherText(dataDir, `it records ${misplaced}`);
  }
  const before = await appliedMigrations(databaseUrl);
  const applied = await migrate(databaseUrl).catch((error: unknown) => {
    // A new migration fails on tables that an older text of an earlier one made.
    throw before.length === 0
      ? error
      : otherText(dataDir, error instanceof Error ? error.message : String(error), error);
  });
  const [difference] = await schemaDrift(databaseUrl);
  if (difference !== undefined) {
    throw otherText(dataDir, `${difference.kind}: ${difference.object}`);
  }
  return applied;
}

function otherText(dataDir: string, evidence: string, cause?: unknown): Error {
  return new Error(
    `the database in ${dataDir} is not what the migrations of this version make (${evidence}): another version made it, ` +
      "or it was changed by hand; delete that directory, with the tasks in it, or choose another one with --data-dir",
    { cause },
  );
}
