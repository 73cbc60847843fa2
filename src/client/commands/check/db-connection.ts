import { ConfigError } from "../../../config/config.ts";
import { table } from "../../../config/variables.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";

/**
 * Runs `act` with the direct connection's URL.
 * @param doing says in an error what failed, as in "migrating".
 * @throws ConfigError, ClientError
 */
export async function onDatabase<T>(
  context: Context,
  doing: string,
  act: (databaseUrl: string) => Promise<T>,
): Promise<T> {
  const databaseUrl = requireDatabaseUrl(context.env);
  try {
    return await act(databaseUrl);
  } catch (error) {
    throw databaseError(databaseUrl, doing, error);
  }
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

function databaseError(databaseUrl: string, doing: string, error: unknown): ClientError {
  const { host, pathname } = new URL(databaseUrl);
  const where = `${host}${pathname}`;
  // A refused connection over both IPv4 and IPv6 is one error with two inside.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const { code = "", message, hint } = first as Error & { code?: string; hint?: string };
  if (/^E[A-Z_]+$/.test(code)) {
    const advice = "Check SUPABASE_DB_URL and that the server runs.";
    return new ClientError(EXIT.unreachable, `no answer from Postgres at ${where} (${code})`, advice, { cause: error });
  }
  if (code.startsWith("28")) {
    const advice = "Check user and password in SUPABASE_DB_URL.";
    return new ClientError(EXIT.usage, `Postgres at ${where} refused the login: ${message}`, advice, {
      cause: error,
    });
  }
  const advice = hint ?? (doing === "migrating" ? migrationAdvice(message) : null);
  return new ClientError(EXIT.failed, `${doing} ${where} failed: ${message}`, advice, { cause: error });
}

function migrationAdvice(message: string): string {
  return message.startsWith("Not run migration")
    ? "Another version of this program migrated this database: use that version, or a new database."
    : "The migration that failed was rolled back; those before it are applied.";
}
