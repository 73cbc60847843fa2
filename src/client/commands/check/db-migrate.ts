import type { Command } from "commander";
import { table } from "../../../config/variables.ts";
import { addExamples, type Context, jsonOption } from "../../context.ts";
import { onDatabase } from "./db-connection.ts";
import { addDbDeploymentCommand } from "./db-deployment.ts";
import { addDbStatusCommand } from "./db-status.ts";
import { addDbVerifyCommand } from "./db-verify.ts";

export function addDbCommand(program: Command, context: Context): void {
  const db = program.command("db").description("prepare the database");
  const migrate = db
    .command("migrate")
    .description("apply the migrations that the database lacks (needs SUPABASE_DB_URL)")
    .option("--print", "print one SQL script for an SQL editor instead (needs no connection)")
    .addOption(jsonOption())
    .action(async ({ json, print }: { json?: boolean; print?: boolean }) => {
      const { name: variable, defaultText = "" } = table.supabase.videoBucket;
      const videoBucket = context.env[variable]?.trim() || defaultText;
      if (print) {
        const { migrationScript } = await import("../../../supabase/migration-files.ts");
        context.output.print(await migrationScript(videoBucket));
        return;
      }
      const notices: string[] = [];
      const { applied, bucket, drift } = await onDatabase(context, "migrating", async (databaseUrl) => {
        const migrations = await import("../../../supabase/migrate.ts");
        return {
          applied: await migrations.migrate(databaseUrl, (message) => notices.push(message)),
          bucket: await migrations.ensureBucket(databaseUrl, videoBucket),
          drift: await migrations.schemaDrift(databaseUrl),
        };
      });
      if (drift.length > 0) {
        // Without this check, an edited migration or a change by hand would not be noticed.
        notices.push(
          `the schema is not what the migrations make, differences: ${drift.length}; see gpu-pool db verify`,
        );
      }
      if (json) {
        context.output.printJson({ applied, bucket: bucket && { name: videoBucket, outcome: bucket }, notices });
        return;
      }
      const lines = [...applied.map((name) => `applied ${name}`), ...notices.map((notice) => `notice: ${notice}`)];
      if (bucket !== null) {
        lines.push(`${bucket}: storage bucket ${videoBucket}`);
      }
      context.output.print(lines.length === 0 ? "nothing to do" : lines.join("\n"));
    });
  addExamples(migrate, [
    ["gpu-pool db migrate", "bring the database up to date"],
    ["gpu-pool db migrate --env-file .env.production", "another database"],
    ["gpu-pool db migrate --print > setup.sql", "for the SQL editor of a hosted project"],
  ]);
  addDbStatusCommand(db, context);
  addDbVerifyCommand(db, context);
  addDbDeploymentCommand(db, context);
}
