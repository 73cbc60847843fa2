import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type pg from "pg";
import { type Logger, pino } from "pino";
import { WebSocket } from "undici";
import { startOnFreePort } from "../../src/dev/servers/free-port.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../../src/dev/gateway/gateway.ts";
import { type Keys, makeKeys } from "../../src/dev/gateway/auth.ts";
import { type Guardian, startGuardian } from "../../src/process/guardian.ts";
import { startPostgres } from "../../src/dev/servers/postgres.ts";
import { startPostgrest } from "../../src/dev/servers/postgrest.ts";
import { bootstrapSupabase } from "../../src/dev/servers/supabase-roles.ts";
import { openSqlPool } from "./sql-pool.ts";

export interface GatewayStack {
  readonly gateway: Gateway;
  readonly keys: Keys;
  readonly database: pg.Pool;
  readonly storageDir: string;
  readonly postgrestUrl: string;
  /** Logins of the database's superuser and of the role `authenticator`. */
  readonly databaseUrl: string;
  readonly authenticatorUrl: string;
  /** An unchanged supabase-js client with the given key and extra headers. */
  client(key: string, headers?: Record<string, string>): SupabaseClient;
  /** The gateway's log so far. */
  log(): string;
  /** Versions of which only the row or only the file exists. */
  unmatchedVersions(): Promise<string[]>;
  /** A second gateway over the same database, with other options. */
  another(options: Partial<GatewayOptions>): Promise<Gateway>;
  close(): Promise<void>;
}

/** Starts Postgres with a bootstrapped database; returns the URLs of the superuser and of the role `authenticator`. */
async function startDatabase(guardian: Guardian, dataDir: string, logger: Logger) {
  const postgres = await startOnFreePort(
    undefined,
    async (port) => await startPostgres({ guardian, dataDir, port, ephemeral: true, logger }),
  );
  await postgres.createDatabase("gateway");
  const databaseUrl = postgres.databaseUrl("gateway");
  const authenticatorPassword = randomUUID();
  await bootstrapSupabase({ databaseUrl, authenticatorPassword });
  const authenticatorUrl = new URL(databaseUrl);
  authenticatorUrl.username = "authenticator";
  authenticatorUrl.password = authenticatorPassword;
  return { databaseUrl, authenticatorUrl: authenticatorUrl.href };
}

async function unmatchedVersions(database: pg.Pool, storageDir: string): Promise<string[]> {
  const { rows } = await database.query<{ version: string }>("select version from storage.objects");
  const entries = await readdir(storageDir, { recursive: true, withFileTypes: true });
  const inRows = new Set(rows.map(({ version }) => version));
  const inFiles = new Set(entries.filter((entry) => entry.isFile()).map(({ name }) => name));
  return [
    ...[...inRows].filter((version) => !inFiles.has(version)),
    ...[...inFiles].filter((version) => !inRows.has(version)),
  ];
}

/** Real Postgres, real PostgREST and the gateway over a fresh database in which `schemaSql` has run. */
export async function startGatewayStack(schemaSql: string): Promise<GatewayStack> {
  const directory = await mkdtemp(join(tmpdir(), "gateway-stack-"));
  // When the tests run as root, Postgres runs as another user, which must be able to enter this folder.
  await chmod(directory, 0o711);
  const lines: string[] = [];
  const logger = pino({ level: "debug" }, { write: (line: string) => void lines.push(line) });
  const guardian = await startGuardian({ logger });
  const undo: (() => Promise<unknown>)[] = [
    () => rm(directory, { recursive: true, force: true }),
    () => guardian.close(),
  ];
  const close = async (): Promise<void> => {
    while (undo.length > 0) {
      await undo.pop()!();
    }
  };
  try {
    const keys = await makeKeys();
    const { databaseUrl, authenticatorUrl } = await startDatabase(guardian, join(directory, "postgres"), logger);
    const database = openSqlPool(databaseUrl, 2);
    undo.push(() => database.end());
    await database.query(schemaSql);
    const rest = { guardian, databaseUrl: authenticatorUrl, jwtSecret: keys.jwtSecret, logger };
    const postgrest = await startOnFreePort(undefined, async (port) => await startPostgrest({ ...rest, port }));

    const common = { port: 0, postgrestUrl: postgrest.url, databaseUrl, keys, videoBucket: "videos", logger };
    const start = async (into: string, options: Partial<GatewayOptions>): Promise<Gateway> => {
      const gateway = await startGateway({ ...common, storageDir: into, ...options });
      undo.push(() => gateway.close());
      return gateway;
    };
    const storageDir = join(directory, "storage");
    const gateway = await start(storageDir, {});
    return {
      gateway,
      keys,
      database,
      storageDir,
      postgrestUrl: postgrest.url,
      databaseUrl,
      authenticatorUrl,
      client: (key, headers = {}) =>
        createClient(gateway.url, key, {
          global: { headers },
          auth: { persistSession: false, autoRefreshToken: false },
          realtime: { transport: WebSocket as never },
        }),
      log: () => lines.join(""),
      unmatchedVersions: () => unmatchedVersions(database, storageDir),
      another: (options) => start(join(directory, randomUUID()), options),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
