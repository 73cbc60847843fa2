import type { Command } from "commander";
import { ConfigError } from "../config.ts";
import { table } from "../config/variables.ts";
import { addExamples, type Context, jsonOption } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";

export function addDbCommand(program: Command, context: Context): void {
  const db = program.command("db").description("prepare the database");
  const migrate = db
    .command("migrate")
    .description("apply the migrations that the database lacks (needs SUPABASE_DB_URL)")
    .addOption(jsonOption())
    .action(async ({ json }: { json?: boolean }) => {
      const databaseUrl = requireDatabaseUrl(context.env);
      const migrations = await import("../supabase/migrate.ts");
      const applied = await migrations.migrate(databaseUrl).catch((error: unknown) => {
        throw migrationError(databaseUrl, error);
      });
      if (json) {
        context.output.printJson({ applied });
      } else {
        context.output.print(
          applied.length === 0 ? "nothing to do" : applied.map((name) => `applied ${name}`).join("\n"),
        );
      }
    });
  addExamples(migrate, [
    ["gpu-pool db migrate", "bring the database up to date"],
    ["gpu-pool db migrate --env-file .env.production", "another database"],
  ]);
}

function requireDatabaseUrl(env: Context["env"]): string {
  const { name, kind, description } = table.supabase.dbUrl;
  const url = env[name]?.trim() ?? "";
  if (!kind.schema.safeParse(url).success || !URL.canParse(url)) {
    const message = `${name} ${url === "" ? "is not set" : "cannot be read"}; expected ${kind.allowed}. ${description}`;
    const advice = "Supabase shows it under Connect: take the direct connection or the session pooler.";
    throw new ConfigError("The environment", [{ variable: name, message }], advice);
  }
  return url;
}

function migrationError(databaseUrl: string, error: unknown): ClientError {
  const { host, pathname } = new URL(databaseUrl);
  const where = `${host}${pathname}`;
  // A refused connection over both IPv4 and IPv6 is one error with two inside.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const { code = "", message } = first as Error & { code?: string };
  if (/^E[A-Z_]+$/.test(code)) {
    const advice = "Check SUPABASE_DB_URL and that the server runs.";
    return new ClientError(EXIT.unreachable, `no answer from Postgres at ${where} (${code})`, advice, { cause: error });
  }
  if (code.startsWith("28")) {
    const advice = "Check user and password in SUPABASE_DB_URL.";
    return new ClientError(EXIT.badConfig, `Postgres at ${where} refused the login: ${message}`, advice, {
      cause: error,
    });
  }
  const advice = "The migration that failed was rolled back; those before it are applied.";
  return new ClientError(EXIT.failed, `migrating ${where} failed: ${message}`, advice, { cause: error });
}
