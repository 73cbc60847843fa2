import { randomUUID } from "node:crypto";
import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino, type Logger } from "pino";
import { freePort } from "../../src/dev/servers/free-port.ts";
import { type Guardian, startGuardian } from "../../src/process/guardian.ts";
import { startPostgres } from "../../src/dev/servers/postgres.ts";
import { bootstrapSupabase } from "../../src/dev/servers/supabase-roles.ts";
import { TASK_TYPES } from "../../src/task-types/task-types.ts";
import { migrate } from "../../src/supabase/migrate.ts";

export const CLIENTS = 16;
export const POOL = "bench";

/** One migrated database, with the row of a GPU worker for each client. */
export interface Bed {
  readonly databaseUrl: string;
  /** The database's address with PostgREST's login. */
  readonly authenticatorUrl: string;
  readonly sql: pg.Pool;
  readonly workers: readonly string[];
  /** One connection for each client, open until the server closes. */
  readonly clients: readonly pg.Client[];
  /** Adds tasks until `queued` of them can be claimed. */
  fill(queued: number): Promise<void>;
}

export interface Server {
  readonly guardian: Guardian;
  readonly logger: Logger;
  newBed(name: string): Promise<Bed>;
  close(): Promise<void>;
}

/** Postgres with its default settings, so as durable as in production, in a folder that is deleted at the end. */
export async function startServer(): Promise<Server> {
  const logger = pino({ level: "error" }, process.stderr);
  const guardian = await startGuardian({ logger });
  const ends: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const end of ends.splice(0)) {
      await end();
    }
    await guardian.close();
  };
  try {
    const directory = await mkdtemp(join(tmpdir(), "gpu-pool-bench-"));
    await guardian.removeAtEnd(directory);
    // Postgres does not run as root, and its own user must be able to enter this folder.
    await chmod(directory, 0o711);
    const postgres = await startPostgres({
      guardian,
      logger,
      dataDir: join(directory, "postgres"),
      port: await freePort(),
    });
    const authenticatorPassword = randomUUID();
    const newBed = async (name: string): Promise<Bed> => {
      await postgres.createDatabase(name);
      const databaseUrl = postgres.databaseUrl(name);
      await bootstrapSupabase({ databaseUrl, authenticatorPassword });
      await migrate(databaseUrl);
      const authenticator = new URL(databaseUrl);
      authenticator.username = "authenticator";
      authenticator.password = authenticatorPassword;
      const { bed, end } = await furnish(databaseUrl, authenticator.href);
      ends.push(end);
      return bed;
    };
    return { guardian, logger, newBed, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function furnish(databaseUrl: string, authenticatorUrl: string) {
  const sql = new pg.Pool({ connectionString: databaseUrl, max: 4 });
  await sql.query("insert into pools (name) values ($1)", [POOL]);
  // The tasks here have no file, which a worker's own credential would have to name.
  await sql.query("update task_types set needs_file = false");
  const workers = Array.from({ length: CLIENTS }, (_, n) => `${POOL}-${n}`);
  await sql.query("insert into workers (id, pool, status) select unnest($1::text[]), $2, 'active'", [workers, POOL]);
  const clients = await Promise.all(
    workers.map(async () => {
      const client = new pg.Client({ connectionString: databaseUrl });
      await client.connect();
      return client;
    }),
  );
  const bed: Bed = {
    databaseUrl,
    authenticatorUrl,
    sql,
    workers,
    clients,
    async fill(queued) {
      await sql.query(
        `insert into tasks (task_type, pool, params)
         select 'generate_video', $1, '{"prompt": "a sunset over mountains", "num_frames": 81}'
         from generate_series(1, $2 - (
           select count(*) from tasks where status = 'Queued' and gate = 'open' and pool = $1))`,
        [POOL, queued],
      );
    },
  };
  const end = async () => {
    await Promise.all(clients.map((client) => client.end()));
    await sql.end();
  };
  return { bed, end };
}

/** Adds a million tasks of a hundred projects, with the values that the trigger would have set, within seconds. */
export async function addMillion({ sql }: Bed): Promise<void> {
  const client = await sql.connect();
  try {
    await client.query("begin");
    // This transaction runs no triggers and checks no references; the insert gives the values that triggers would set.
    await client.query("set local session_replication_role = replica");
    await client.query(
      `insert into projects (id, name)
       select md5('project ' || n)::uuid, 'project ' || n from generate_series(0, 99) as n`,
    );
    await client.query(
      `insert into tasks (task_type, pool, project_id, gate, vtime, params)
       select 'generate_video', $1, md5('project ' || n % 100)::uuid, 'open',
         (extract(epoch from now()) * 1000000)::bigint + n / 100,
         '{"prompt": "a sunset over mountains", "num_frames": 81}'
       from generate_series(1, 1000000) as n`,
      [POOL],
    );
    await client.query("commit");
  } finally {
    client.release();
  }
}

/** The types that a worker of ours knows, as it states them. */
export const ALL_TYPES = TASK_TYPES.map(({ name }) => name);

/** Says what all workers can do; null: nobody has said. */
export async function stateTypes({ sql }: Bed, types: readonly string[] | null): Promise<void> {
  await sql.query("update workers set task_types = $1", [types]);
}

/** Adds tasks of a type that is not among `ALL_TYPES`. */
export async function addForeign({ sql }: Bed, count: number): Promise<void> {
  await sql.query(
    `insert into tasks (task_type, pool, params) select 'foreign', $1, '{}' from generate_series(1, $2::integer)`,
    [POOL, count],
  );
}

/** Vacuums and analyzes, as autovacuum would, so that every round begins alike. */
export async function settle({ sql }: Bed): Promise<void> {
  await sql.query("vacuum analyze tasks, ended_attempts, workers");
}
