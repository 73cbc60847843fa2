import { existsSync } from "node:fs";
import { chown, mkdtemp, readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../src/dev/servers/free-port.ts";
import { bootstrapSupabase } from "../../src/dev/servers/supabase-roles.ts";
import { type Guardian, startGuardian } from "../../src/process/guardian.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { PG_NET, VAULT } from "../kit/hosted/extensions.ts";
import { sha256 } from "../kit/queue.ts";

/** A Debian below whose `/usr` Postgres and pg_cron lie: that of this machine, or a folder that debootstrap made. */
const ROOT = process.env["PG_CRON_ROOT"] || "/";
const IN_ROOT = "usr/lib/postgresql";
const FIRST_WITH_SECONDS = 1.5;

interface Found {
  readonly bin: string;
  readonly cron: number;
}

async function findPgCron(): Promise<Found | null> {
  const versions = existsSync(join(ROOT, IN_ROOT)) ? await readdir(join(ROOT, IN_ROOT)) : [];
  for (const version of versions.toSorted().toReversed()) {
    const control = join(ROOT, "usr/share/postgresql", version, "extension/pg_cron.control");
    const text = await readFile(control, "utf8").catch(() => "");
    const cron = /default_version = '([\d.]+)/.exec(text)?.[1];
    if (cron !== undefined) {
      return { bin: join("/", IN_ROOT, version, "bin"), cron: Number(cron) };
    }
  }
  return null;
}

const found = await findPgCron();
const missing = found === null ? ` (skipped: no postgresql-*-cron below ${ROOT})` : ` ${found.cron}`;

describe.skipIf(found === null)(`the optional SQL on the real pg_cron${missing}`, () => {
  let guardian: Guardian;
  let client: pg.Client;
  beforeAll(async () => {
    guardian = await startGuardian({ logger: pino({ level: "fatal" }) });
    const directory = await mkdtemp(join(ROOT, "tmp/gpu-pool-cron-"));
    await guardian.removeAtEnd(directory);
    const inside = join("/", relative(ROOT, directory));
    const owner = await ownerOfServer();
    if (owner !== null) {
      await chown(directory, owner.uid, owner.gid);
    }
    const spawn = (program: string, args: readonly string[]) => {
      const path = join(found?.bin ?? "", program);
      if (ROOT === "/") {
        return guardian.spawn(path, args, { name: program, cwd: directory, ...owner });
      }
      const user = `--userspec=${owner?.uid}:${owner?.gid}`;
      return guardian.spawn("chroot", [user, ROOT, path, ...args], { name: program });
    };
    const data = join(inside, "data");
    const made = spawn("initdb", [
      "--pgdata",
      data,
      "--username",
      "postgres",
      "--auth",
      "trust",
      "--locale",
      "C.UTF-8",
    ]);
    expect({ ...(await made.exited), said: made.outputTail() }).toMatchObject({ code: 0 });
    const port = await freePort();
    const settings = {
      port: String(port),
      listen_addresses: "127.0.0.1",
      unix_socket_directories: inside,
      shared_preload_libraries: "pg_cron",
      "cron.database_name": "postgres",
      "cron.host": "127.0.0.1",
      fsync: "off",
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const server = spawn("postgres", ["-D", data, ...options]);
    const databaseUrl = `postgresql://postgres@127.0.0.1:${port}/postgres`;
    client = await connected(databaseUrl, () => server.outputTail());
    await bootstrapSupabase({ databaseUrl, authenticatorPassword: "any" });
    await migrate(databaseUrl);
    await client.query(VAULT);
    await client.query(PG_NET);
    await client.query("select vault.create_secret('https://project.example', 'gpu_pool_project_url')");
    await client.query("insert into pools (name) values ('main')");
  });
  afterAll(async () => {
    await client?.end();
    await guardian?.close();
  });

  const rows = async <T>(statement: string) => (await client.query(statement)).rows as T[];
  const install = async (every = "30 seconds") => {
    const text = await readFile("sql/optional/pg_cron_wake.sql", "utf8");
    await client.query(text.replace("constant text := '30 seconds'", `constant text := '${every}'`));
  };

  it("is refused before pg_cron knows seconds, which the message says", async () => {
    const attempt = install();
    if ((found?.cron ?? 0) >= FIRST_WITH_SECONDS) {
      await attempt;
      return;
    }
    await expect(attempt).rejects.toMatchObject({
      message: expect.stringMatching(/^pg_cron 1\.\S+ refuses the schedule 30 seconds: invalid schedule: 30 seconds$/),
      hint: expect.stringContaining("Seconds came with pg_cron 1.5."),
    });
    expect(await rows("select from pg_extension where extname = 'pg_cron'")).toEqual([]);
    await install("* * * * *");
  });

  it("has the request sent at its time, with the secret of which the database holds the hash", async () => {
    await expect.poll(() => rows("select from net.http_request_queue")).toHaveLength(1);
    const [request] = await rows<{ url: string; headers: Record<string, string>; body: Buffer }>(
      "select url, headers, body from net.http_request_queue",
    );
    expect(request?.url).toBe("https://project.example/functions/v1/orchestrator-wake");
    expect(JSON.parse(request?.body.toString() ?? "")).toEqual({ pool: "main" });
    const secret = request?.headers["Authorization"]?.replace("Bearer ", "") ?? "";
    expect(await rows("select wake_hash from deployment")).toEqual([{ wake_hash: sha256(secret) }]);
    const runs = async () =>
      await rows(`select d.status from cron.job_run_details d join cron.job using (jobid)
        where jobname = 'gpu-pool-wake-main' and end_time is not null`);
    await expect.poll(runs).toContainEqual({ status: "succeeded" });
    expect(
      JSON.stringify(await rows("select command from cron.job union all select command from cron.job_run_details")),
    ).not.toContain(secret);
  });

  it("may be run again, forgets old runs, and is removed", async () => {
    await install((found?.cron ?? 0) >= FIRST_WITH_SECONDS ? "30 seconds" : "* * * * *");
    const jobs = await rows<{ jobname: string; command: string }>(
      "select jobname, command from cron.job order by jobname",
    );
    expect(jobs.map(({ jobname }) => jobname)).toEqual(["gpu-pool-wake-clean-up", "gpu-pool-wake-main"]);
    await client.query("update cron.job_run_details set end_time = end_time - interval '2 days'");
    await client.query(jobs[0]?.command ?? "");
    expect(await rows("select from cron.job_run_details where end_time < now() - interval '1 day'")).toEqual([]);
    await client.query(await readFile("sql/optional/pg_cron_wake_remove.sql", "utf8"));
    expect(await rows("select from cron.job")).toEqual([]);
    expect(await rows("select wake_hash from deployment")).toEqual([{ wake_hash: null }]);
  });
});

/** Postgres refuses to run as root. Null: this process is another user, and so is the server. */
async function ownerOfServer(): Promise<{ readonly uid: number; readonly gid: number } | null> {
  if (process.getuid?.() !== 0) {
    return null;
  }
  const lines = (await readFile(join(ROOT, "etc/passwd"), "utf8")).split("\n");
  const [, , uid, gid] = lines.find((line) => line.startsWith("postgres:"))?.split(":") ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

async function connected(connectionString: string, log: () => string): Promise<pg.Client> {
  for (let attempt = 1; ; attempt += 1) {
    const client = new pg.Client({ connectionString });
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (attempt === 300) {
        throw new Error(`Postgres did not start: ${log()}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
