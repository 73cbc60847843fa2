import { ConfigError } from "../../../config/config.ts";
import { table } from "../../../config/variables.ts";
import type { Context } from "../../context.ts";
import type { JsonOptions } from "../../options.ts";
import { onDatabase } from "./db-connection.ts";

/** Gives a plain Postgres database what a hosted project has before its first migration. @throws ClientError, ConfigError */
export async function bootstrapDatabase(context: Context, { json }: JsonOptions): Promise<void> {
  const authenticatorPassword = requirePassword(context.env);
  const { bootstrapSupabase } = await import("../../../dev/servers/supabase-roles.ts");
  await onDatabase(context, "bootstrapping", (databaseUrl) =>
    bootstrapSupabase({ databaseUrl, authenticatorPassword }),
  );
  if (json) {
    context.output.printJson({ bootstrapped: true });
    return;
  }
  context.output.print("the database has the roles, schemas and storage tables of a project");
}

function requirePassword(env: Context["env"]): string {
  const { name, kind, description } = table.gateway.dbUrl;
  const url = env[name]?.trim() ?? "";
  const { username, password } = loginIn(url);
  if (username !== "authenticator" || password === "") {
    const what =
      url === "" ? "is not set" : "holds no password of the role authenticator that can be read (in a URL a % is %25)";
    const message = `${name} ${what}; expected ${kind.allowed}. ${description}`;
    throw new ConfigError("The environment", [{ variable: name, message }], "gpu-pool gateway secrets makes it.");
  }
  return password;
}

function loginIn(url: string): { readonly username: string; readonly password: string } {
  try {
    const { username, password } = new URL(url);
    return { username, password: decodeURIComponent(password) };
  } catch {
    // No URL, or a percent sign in the password that is not written as %25.
    return { username: "", password: "" };
  }
}
