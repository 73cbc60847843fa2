import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import pg from "pg";
import { pino } from "pino";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../../src/dev/servers/free-port.ts";
import { type Guardian, startGuardian } from "../../../src/process/guardian.ts";
import { type Postgres, startPostgres } from "../../../src/dev/servers/postgres.ts";
import { type Postgrest, startPostgrest } from "../../../src/dev/servers/postgrest.ts";
import { bootstrapSupabase } from "../../../src/dev/servers/supabase-roles.ts";

const logger = pino({ level: "silent" });
const jwtSecret = "a-secret-of-this-test-only-0123456789";
const authenticatorPassword = "it's a 'quoted' password";

const SCHEMA = `
  create table number (n int primary key);
  insert into number select generate_series(1, 1500);
  create table secret (n int);
  alter table secret enable row level security;
  insert into secret values (1);
  create function nap(seconds float) returns text language sql as $$ select pg_sleep(seconds)::text $$;
  create function timeouts() returns text language sql as $$ select current_setting('statement_timeout') $$;
  create function who() returns jsonb language sql as
    $$ select jsonb_build_object('uid', auth.uid(), 'role', auth.role(), 'user', current_user) $$;
  grant all on number, secret to anon, authenticated, service_role;
  grant execute on function nap(float), timeouts(), who() to anon, authenticated, service_role;`;

function token(role: string, claims: Record<string, string> = {}): Promise<string> {
  return new SignJWT({ role, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(jwtSecret));
}

describe("a bootstrapped database behind PostgREST", () => {
  let dataDir: string;
  let guardian: Guardian;
  let postgres: Postgres;
  let postgrest: Postgrest;

  const sql = async (text: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: postgres.databaseUrl("app") });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  };

  const get = async (path: string, jwt?: string): Promise<{ status: number; body: unknown }> => {
    const headers = jwt === undefined ? {} : { authorization: `Bearer ${jwt}` };
    const { statusCode, body } = await request(`${postgrest.url}${path}`, { headers });
    return { status: statusCode, body: await body.json() };
  };

  beforeAll(async () => {
    guardian = await startGuardian({ logger });
    dataDir = await mkdtemp(join(tmpdir(), "postgrest-test-"));
    postgres = await startPostgres({ guardian, dataDir, port: await freePort(), ephemeral: true, logger });
    await postgres.createDatabase("app");
    await bootstrapSupabase({ databaseUrl: postgres.databaseUrl("app"), authenticatorPassword });
    await sql(SCHEMA);
    const login = `authenticator:${encodeURIComponent(authenticatorPassword)}`;
    const databaseUrl = `postgres://${login}@127.0.0.1:${postgres.port}/app`;
    postgrest = await startPostgrest({ guardian, databaseUrl, jwtSecret, port: await freePort(), logger });
  });
  afterAll(async () => {
    await guardian.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it("limits an answer to 1,000 rows, for the service role too", async () => {
    for (const jwt of [undefined, await token("service_role")]) {
      const { status, body } = await get("/number", jwt);
      expect([status, (body as unknown[]).length]).toEqual([200, 1000]);
    }
  });

  it("hides rows under RLS from anon, not from the service role", async () => {
    expect(await get("/secret")).toEqual({ status: 200, body: [] });
    expect(await get("/secret", await token("service_role"))).toEqual({ status: 200, body: [{ n: 1 }] });
  });

  it("gives functions the caller's user and role by auth.uid() and auth.role()", async () => {
    const sub = "9b1f9c50-7d4e-4c1b-8a3f-0d2f0a6f2d11";
    const answer = await get("/rpc/who", await token("authenticated", { sub }));
    expect(answer.body).toEqual({ uid: sub, role: "authenticated", user: "authenticated" });
    expect((await get("/rpc/who")).body).toEqual({ uid: null, role: "anon", user: "anon" });
  });

  it("refuses a token with a wrong signature", async () => {
    const { status } = await get("/secret", `${(await token("service_role")).slice(0, -6)}AAAAAA`);
    expect(status).toBe(401);
  });

  it("limits a statement to 3 s for anon and to 8 s for authenticated and the service role", async () => {
    const shown = [
      await get("/rpc/timeouts"),
      await get("/rpc/timeouts", await token("authenticated")),
      await get("/rpc/timeouts", await token("service_role")),
    ];
    expect(shown.map(({ body }) => body)).toEqual(["3s", "8s", "8s"]);
    const { status, body } = await get("/rpc/nap?seconds=60");
    expect([status, (body as { code: string }).code]).toEqual([500, "57014"]);
  });

  it("serves a table that was made later, once the schema is reloaded", async () => {
    await sql("create table later (n int); grant select on later to anon");
    await postgrest.reloadSchema();
    expect(await get("/later")).toEqual({ status: 200, body: [] });
  });

  it("has no secret in its command line", async () => {
    const args = execFileSync("ps", ["-ww", "-o", "args=", "-p", String(postgrest.process.pid)], { encoding: "utf8" });
    expect(args).toContain("postgrest");
    expect(args).not.toMatch(/secret|authenticator/);
  });

  it("has the storage tables under RLS, so that anon sees no object and the service role sees it", async () => {
    await sql("insert into storage.buckets (id, name) values ('videos', 'videos')");
    const insert = "insert into storage.objects (bucket_id, name) values ('videos', 'a.mp4')";
    await sql(insert);
    await expect(sql(insert)).rejects.toThrow("duplicate key");
    const client = new pg.Client({ connectionString: postgres.databaseUrl("app") });
    await client.connect();
    const seenBy = async (role: string): Promise<unknown[]> => {
      await client.query(`set role ${role}`);
      return (await client.query("select name from storage.objects")).rows;
    };
    expect([await seenBy("anon"), await seenBy("service_role")]).toEqual([[], [{ name: "a.mp4" }]]);
    await client.end();
  });

  it("can be bootstrapped again with a new password, in several databases at once", async () => {
    const names = ["one", "two", "three"];
    for (const name of names) {
      await postgres.createDatabase(name);
    }
    const urls = [...names, "app"].map((name) => postgres.databaseUrl(name));
    await Promise.all(urls.map((databaseUrl) => bootstrapSupabase({ databaseUrl, authenticatorPassword: "next" })));
    const client = new pg.Client({ connectionString: `postgres://authenticator:next@127.0.0.1:${postgres.port}/two` });
    await client.connect();
    await client.query("set role service_role");
    expect((await client.query("select count(*)::int as n from storage.buckets")).rows).toEqual([{ n: 0 }]);
    await client.end();
  });
});
