import { readFile } from "node:fs/promises";
import pg from "pg";

/**
 * Gives a plain Postgres database the roles, schemas, storage tables and default privileges of a hosted Supabase
 * project, and sets the password of the role `authenticator`. It may run again. The roles are shared by all databases
 * of the server. `databaseUrl` must log in as a superuser. @throws the error of Postgres; then nothing has changed.
 */
export async function bootstrapSupabase(options: {
  databaseUrl: string;
  authenticatorPassword: string;
}): Promise<void> {
  const sql = await readFile(new URL("./bootstrap.sql", import.meta.url), "utf8");
  const client = new pg.Client({ connectionString: options.databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    // Bootstraps of two databases at once change the same roles. An advisory lock holds within one database only, so
    // they exclude each other by a lock on the table of roles, which belongs to the whole server.
    await client.query("lock table pg_catalog.pg_authid in share row exclusive mode");
    await client.query(sql);
    await client.query(`alter role authenticator password ${client.escapeLiteral(options.authenticatorPassword)}`);
    await client.query("commit");
  } finally {
    await client.end();
  }
}
