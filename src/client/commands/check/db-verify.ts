import { type Drift, expectedCatalog } from "../../../supabase/catalog.ts";
import { schemaDrift } from "../../../supabase/migrate.ts";
import type { Context } from "../../context.ts";
import type { JsonOptions } from "../../options.ts";
import { onDatabase } from "./db-connection.ts";

/** Says whether the schema is what the migrations make. Exit code 1 when it is not. @throws ClientError, ConfigError */
export async function verifySchema(context: Context, { json }: JsonOptions): Promise<void> {
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
    context.output.print(drift.flatMap(describeDrift));
    context.output.print("Pending migrations show here too: see gpu-pool db status.");
  }
}

function describeDrift({ object, kind, expected, found }: Drift): string[] {
  switch (kind) {
    case "missing":
      return [`missing     ${object}`];
    case "unexpected":
      return [
        object.startsWith("policy ")
          ? `unexpected  ${object}: it could open rows that our policies keep closed`
          : `unexpected  ${object}: callers could meet it instead of ours`,
      ];
    case "different":
      return [`different   ${object}`, `  expected  ${expected}`, `  found     ${found}`];
  }
}
