import type { Command } from "commander";
import type { Drift } from "../../../supabase/catalog.ts";
import { addExamples, type Context, jsonOption } from "../../context.ts";
import { onDatabase } from "./db-connection.ts";

/** `gpu-pool db verify`: whether the schema is what the migrations make. Exit code 1 when it is not. */
export function addDbVerifyCommand(db: Command, context: Context): void {
  const verify = db
    .command("verify")
    .description("compare the schema with what the migrations make (needs SUPABASE_DB_URL)")
    .addOption(jsonOption())
    .action(async ({ json }: { json?: boolean }) => {
      const { expectedCatalog } = await import("../../../supabase/catalog.ts");
      const { schemaDrift } = await import("../../../supabase/migrate.ts");
      const expected = await expectedCatalog();
      const drift = await onDatabase(context, "verifying", schemaDrift);
      if (drift.length > 0) {
        context.failed();
      }
      if (json) {
        context.output.printJson({ objects: Object.keys(expected).length, drift });
      } else if (drift.length === 0) {
        context.output.print(`no drift: all ${Object.keys(expected).length} objects are as the migrations make them`);
      } else {
        context.output.print(drift.map(describeDrift).join("\n"));
        context.output.print("Pending migrations show here too: see gpu-pool db status.");
      }
    });
  addExamples(verify, [["gpu-pool db verify", "was anything changed by hand?"]]);
}

function describeDrift({ object, kind, expected, found }: Drift): string {
  switch (kind) {
    case "missing":
      return `missing     ${object}`;
    case "unexpected":
      return object.startsWith("policy ")
        ? `unexpected  ${object}: it could open rows that our policies keep closed`
        : `unexpected  ${object}: callers could meet it instead of ours`;
    case "different":
      return `different   ${object}\n  expected  ${expected}\n  found     ${found}`;
  }
}
