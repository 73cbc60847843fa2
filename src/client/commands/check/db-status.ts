import type { Command } from "commander";
import { addExamples, type Context, jsonOption } from "../../context.ts";
import { onDatabase } from "./db-connection.ts";

/** `gpu-pool db status`: which migrations are applied. Exit code 1 when any is pending. */
export function addDbStatusCommand(db: Command, context: Context): void {
  const status = db
    .command("status")
    .description("show which migrations are applied and which are pending (needs SUPABASE_DB_URL)")
    .addOption(jsonOption())
    .action(async ({ json }: { json?: boolean }) => {
      const { migrationNames } = await import("../../../supabase/migration-files.ts");
      const { appliedMigrations } = await import("../../../supabase/migrate.ts");
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
      context.output.print(lines.join("\n"));
      context.output.print(pending.length === 0 ? "up to date" : `${pending.length} pending: gpu-pool db migrate`);
    });
  addExamples(status, [["gpu-pool db status", "what would db migrate do?"]]);
}
