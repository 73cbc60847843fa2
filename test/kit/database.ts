import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { bootstrapSupabase } from "../../src/dev/servers/supabase-roles.ts";
import { openSqlPool } from "./sql-pool.ts";

export interface TestDatabase {
  readonly databaseUrl: string;
  /** The database's address with PostgREST's login. */
  readonly authenticatorUrl: string;
  readonly sql: pg.Pool;
  drop(): Promise<void>;
}

/** A fresh database, cloned from the migrated template, as a deployment of its own. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const database = await createDatabase(inject("shared").templateDatabase);
  await database.sql.query("update deployment set id = gen_random_uuid()");
  return database;
}

/** A fresh database with what a hosted project has before its first migration. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const database = await createDatabase("template1");
  const { authenticatorPassword } = inject("shared");
  await bootstrapSupabase({ databaseUrl: database.databaseUrl, authenticatorPassword });
  return database;
}

async function createDatabase(template: string): Promise<TestDatabase> {
  const { superuserUrl, authenticatorPassword } = inject("shared");
  const name = `test_${randomBytes(6).toString("hex")}`;
  await asSuperuser(superuserUrl, `create database ${name} template ${template}`);
  const url = new URL(superuserUrl);
  url.pathname = `/${name}`;
  const databaseUrl = url.href;
  url.username = "authenticator";
  url.password = authenticatorPassword;
  const sql = openSqlPool(databaseUrl, 20);
  return {
    databaseUrl,
    authenticatorUrl: url.href,
    sql,
    async drop() {
      await sql.end();
      await asSuperuser(superuserUrl, `drop database if exists ${name} with (force)`);
    },
  };
}

async function asSuperuser(connectionString: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
