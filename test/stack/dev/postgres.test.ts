import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../../src/dev/servers/free-port.ts";
import { type Guardian, startGuardian } from "../../../src/process/guardian.ts";
import { processStartTime } from "../../../src/process/process-identity.ts";
import { type Postgres, startPostgres } from "../../../src/dev/servers/postgres.ts";

const logger = pino({ level: "silent" });

async function query(connectionString: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe("the embedded Postgres", () => {
  let dataDir: string;
  let guardian: Guardian;
  let port: number;
  let postgres: Postgres;

  const start = (ephemeral = false): Promise<Postgres> => startPostgres({ guardian, dataDir, port, ephemeral, logger });

  beforeAll(async () => {
    guardian = await startGuardian({ logger });
    dataDir = await mkdtemp(join(tmpdir(), "postgres-test-"));
    port = await freePort();
    postgres = await start(true);
  });
  afterAll(async () => {
    await guardian.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it("creates a database from a template and drops one that is in use", async () => {
    await postgres.createDatabase("pattern");
    await query(postgres.databaseUrl("pattern"), "create table note (body text)");
    await query(postgres.databaseUrl("pattern"), "insert into note values ('copied')");
    await postgres.createDatabase("Odd name", "pattern");
    expect(await query(postgres.databaseUrl("Odd name"), "select body from note")).toEqual([{ body: "copied" }]);

    const held = new pg.Client({ connectionString: postgres.databaseUrl("Odd name") });
    held.on("error", () => undefined);
    await held.connect();
    await postgres.dropDatabase("Odd name");
    await held.end().catch(() => undefined);
    await expect(query(postgres.databaseUrl("Odd name"), "select 1")).rejects.toThrow("does not exist");
    await expect(postgres.dropDatabase("Odd name")).resolves.toBeUndefined();
  });

  it("requires the password, keeps it readable by its owner only, and listens on this machine only", async () => {
    const wrong = `postgres://postgres:wrong@127.0.0.1:${port}/postgres`;
    await expect(query(wrong, "select 1")).rejects.toThrow("password authentication failed");
    const passwordFile = join(dataDir, "superuser-password");
    expect((await stat(passwordFile)).mode & 0o777).toBe(0o600);
    expect(postgres.superuserUrl).toContain(await readFile(passwordFile, "utf8"));
    const settings =
      "select name, setting from pg_settings where name in ('listen_addresses', 'max_connections', 'fsync')";
    expect(await query(postgres.superuserUrl, `${settings} order by name`)).toEqual([
      { name: "fsync", setting: "off" },
      { name: "listen_addresses", setting: "127.0.0.1" },
      { name: "max_connections", setting: "200" },
    ]);
  });

  it("keeps its data and its password over a stop and a kill -9", async () => {
    await query(postgres.superuserUrl, "create table kept (n int)");
    await query(postgres.superuserUrl, "insert into kept values (1)");
    await postgres.process.stop();
    expect(postgres.process.outputTail()).toContain("database system is shut down");

    postgres = await start();
    await query(postgres.superuserUrl, "insert into kept values (2)");
    process.kill(postgres.process.pid, "SIGKILL");
    expect(await postgres.process.exited).toMatchObject({ signal: "SIGKILL" });

    const firstUrl = postgres.superuserUrl;
    postgres = await start();
    expect(await query(firstUrl, "select n from kept order by n")).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it("waits for a former server on the same folder that is still shutting down", async () => {
    const next = start();
    await postgres.process.stop();
    postgres = await next;
    expect(await query(postgres.superuserUrl, "select count(*)::int as n from kept")).toEqual([{ n: 2 }]);
  });

  it("starts although another process has the pid that a dead server left in its lock file", async () => {
    process.kill(postgres.process.pid, "SIGKILL");
    await postgres.process.exited;
    const { uid, gid } = await stat(dataDir);
    const stranger = guardian.spawn("sleep", ["300"], { name: "stranger", uid, gid });
    const pidFile = join(dataDir, "cluster", "postmaster.pid");
    const lines = (await readFile(pidFile, "utf8")).split("\n");
    await writeFile(pidFile, [String(stranger.pid), ...lines.slice(1)].join("\n"));

    postgres = await start();
    expect(await query(postgres.superuserUrl, "select count(*)::int as n from kept")).toEqual([{ n: 2 }]);
    expect(processStartTime(stranger.pid)).not.toBeNull();
    await stranger.stop();
  });

  it("names the port when another program uses it", async () => {
    const other = startPostgres({ guardian, dataDir: join(dataDir, "second"), port, ephemeral: true, logger });
    await expect(other).rejects.toThrow(`port ${port} on 127.0.0.1 cannot be used for Postgres (EADDRINUSE)`);
  });

  it("quotes the server's output when it cannot start", async () => {
    const otherDir = join(dataDir, "third");
    const settings = { no_such_setting: "1" };
    const failed = startPostgres({
      guardian,
      dataDir: otherDir,
      port: await freePort(),
      settings,
      ephemeral: true,
      logger,
    });
    await expect(failed).rejects.toThrow(/did not come up on 127.0.0.1.*it ended[^]*no_such_setting/);
  });
});
