import { readFile } from "node:fs/promises";
import pg from "pg";

/**
 * Gives a plain Postgres database the roles, schemas, storage tables and default privileges of a hosted Supabase
 * project, and the role `authenticator` this password. Can be repeated; the roles are shared by all databases of the
 * server. `databaseUrl` must log in as a superuser. Throws what Postgres answers; nothing is changed then.
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
    // Roles belong to the whole server, advisory locks to one database: two bootstraps meet on the role table only.
    await client.query("lock table pg_catalog.pg_authid in share row exclusive mode");
    await client.query(sql);
    await client.query(`alter role authenticator password ${client.escapeLiteral(options.authenticatorPassword)}`);
    await client.query("commit");
  } finally {
    await client.end();
  }
}
