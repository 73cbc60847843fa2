import { table } from "../../../config/variables.ts";
import type { Context } from "../../context.ts";
import type { JsonOptions } from "../../options.ts";
import { taskTypeTable } from "../../own-types.ts";
import { onDatabase } from "./db-connection.ts";

export interface MigrateOptions extends JsonOptions {
  readonly print?: boolean;
}

/** Applies the migrations that the database lacks. @throws ClientError, ConfigError */
export async function migrateDatabase(context: Context, { json, print }: MigrateOptions): Promise<void> {
  const { name: variable, defaultText = "" } = table.supabase.videoBucket;
  const videoBucket = context.env[variable]?.trim() || defaultText;
  const { types } = await taskTypeTable(context);
  if (print) {
    const { migrationScript } = await import("../../../supabase/migration-files.ts");
    context.output.print((await migrationScript(videoBucket, types)).split("\n"));
    return;
  }
  const notices: string[] = [];
  const { applied, bucket, drift } = await onDatabase(context, "migrating", async (databaseUrl) => {
    const migrations = await import("../../../supabase/migrate.ts");
    return {
      applied: await migrations.migrate(databaseUrl, (message) => notices.push(message), types),
      bucket: await migrations.ensureBucket(databaseUrl, videoBucket),
      drift: await migrations.schemaDrift(databaseUrl),
    };
  });
  if (drift.length > 0) {
    // Without this check, an edited migration or a change by hand would not be noticed.
    notices.push(`the schema is not what the migrations make, differences: ${drift.length}; see gpu-pool db verify`);
  }
  if (json) {
    context.output.printJson({ applied, bucket: bucket && { name: videoBucket, outcome: bucket }, notices });
    return;
  }
  const lines = [...applied.map((name) => `applied ${name}`), ...notices.map((notice) => `notice: ${notice}`)];
  if (bucket !== null) {
    lines.push(`${bucket}: storage bucket ${videoBucket}`);
  }
  context.output.print(lines.length === 0 ? "nothing to do" : lines);
}
