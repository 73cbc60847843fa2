import { appliedMigrations } from "../../../supabase/migrate.ts";
import { migrationNames } from "../../../supabase/migration-files.ts";
import type { Context } from "../../context.ts";
import type { JsonOptions } from "../../options.ts";
import { onDatabase } from "./db-connection.ts";

/** Shows which migrations are applied. Exit code 1 when any is pending. @throws ClientError, ConfigError */
export async function showMigrations(context: Context, { json }: JsonOptions): Promise<void> {
  const known = await migrationNames();
  const applied = await onDatabase(context, "reading the migrations of", appliedMigrations);
  const pending = known.filter((name) => !applied.includes(name));
  const unknown = applied.filter((name) => !known.includes(name));
  if (pending.length > 0) {
    context.failed();
  }
  if (json) {
    context.output.printJson({ applied, pending, unknown });
    return;
  }
  const lines = [
    ...known.map((name) => `${applied.includes(name) ? "applied" : "pending"}  ${name}`),
    ...unknown.map((name) => `unknown  ${name}: applied by a newer version of this program`),
  ];
  context.output.print(lines);
  context.output.print(pending.length === 0 ? "up to date" : `${pending.length} pending: gpu-pool db migrate`);
}
