import { createHash, randomUUID } from "node:crypto";
import pg from "pg";
import { expect } from "vitest";
import { createTestDatabase, type TestDatabase } from "./database.ts";

export interface Task {
  readonly id: string;
  readonly task_type: string;
  readonly status: string;
  readonly gate: string;
  readonly pool: string;
  readonly project_id: string;
  readonly attempts: number;
  readonly worker_id: string | null;
  readonly error_message: string | null;
  readonly output_location: string | null;
  readonly result_data: unknown;
  readonly generation_created: boolean;
}

export interface ClaimedTask {
  readonly task_id: string;
  readonly task_type: string;
  readonly params: unknown;
  readonly project_id: string;
  readonly attempt: number;
  readonly lease_token: string;
}

export interface Claim {
  readonly worker_status: string;
  readonly task: ClaimedTask | null;
}

/** A connection of its own, for transactions that are open at the same time. */
export interface Session {
  readonly pid: number;
  rows<T>(statement: string, values?: readonly unknown[]): Promise<T[]>;
  call<T>(name: string, args: Readonly<Record<string, unknown>>): Promise<T>;
  end(): Promise<void>;
}

type Columns = Readonly<Record<string, unknown>>;

/** The queue of one test file: the functions of `sql/` over direct connections, as the database's owner. */
export interface Queue {
  readonly database: TestDatabase;
  rows<T>(statement: string, values?: readonly unknown[]): Promise<T[]>;
  /** The only row of a statement. Throws if there is none or more than one. */
  one<T>(statement: string, values?: readonly unknown[]): Promise<T>;
  /** Calls a database function with named arguments and returns its answer. */
  call<T>(name: string, args: Columns): Promise<T>;
  session(): Promise<Session>;
  /** Waits until this session waits for a lock. */
  untilBlocked(session: Session): Promise<void>;
  /** Every test has a pool of its own, so that tests do not see each other's tasks. */
  newPool(): Promise<string>;
  newProject(limits?: Columns): Promise<string>;
  newWorkers(pool: string, count: number, columns?: Columns): Promise<string[]>;
  newWorker(pool: string, columns?: Columns): Promise<string>;
  /** The kinds of a worker's journal entries, oldest first. */
  journalOf(worker: string): Promise<string[]>;
  /** Inserts tasks by one statement. @returns their ids in the order of insertion. */
  addTasks(pool: string, count: number, columns?: Columns): Promise<string[]>;
  addTask(pool: string, columns?: Columns): Promise<string>;
  task(id: string): Promise<Task>;
  claim(worker: string): Promise<Claim>;
  /** Claims a task; throws if there is none. */
  lease(worker: string): Promise<ClaimedTask>;
  /** Finishes without a file. */
  finish(lease: ClaimedTask): Promise<string>;
  fail(lease: ClaimedTask, error: string, permanent?: boolean): Promise<string>;
  release(lease: ClaimedTask): Promise<string>;
  close(): Promise<void>;
}

export function leaseArgs(lease: Pick<ClaimedTask, "task_id" | "lease_token">) {
  return {
    p_task_id: lease.task_id,
    p_lease_token: lease.lease_token,
  };
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function asParameter(value: unknown): unknown {
  return Array.isArray(value) ? JSON.stringify(value) : value;
}

function callText(name: string, args: Columns): [string, unknown[]] {
  const names = Object.keys(args).map((key, index) => `${key} => $${index + 1}`);
  return [`select ${name}(${names.join(", ")}) as answer`, Object.values(args).map(asParameter)];
}

/** One statement for all rows. `expressions` are columns that SQL computes for each row. */
function insertText(
  table: string,
  count: number,
  columns: Columns,
  expressions: Readonly<Record<string, string>> = {},
) {
  const names = [...Object.keys(columns), ...Object.keys(expressions)];
  const places = [...Object.keys(columns).map((_, index) => `$${index + 1}`), ...Object.values(expressions)];
  const values: unknown[] = Object.values(columns);
  return [
    `insert into ${table} (${names.join(", ")}) select ${places.join(", ")} from generate_series(1, ${count}) returning id`,
    values,
  ] as const;
}

type Sql = Pick<Queue, "rows" | "one" | "call">;

function sqlOf(database: TestDatabase): Sql {
  const rows = async <T>(statement: string, values: readonly unknown[] = []) =>
    (await database.sql.query(statement, [...values])).rows as T[];
  const one = async <T>(statement: string, values: readonly unknown[] = []): Promise<T> => {
    const found = await rows<T>(statement, values);
    if (found.length !== 1) {
      throw new Error(`one row expected, found ${found.length}: ${statement}`);
    }
    return found[0]!;
  };
  const call = async <T>(name: string, args: Columns) => (await one<{ answer: T }>(...callText(name, args))).answer;
  return { rows, one, call };
}

type Inserts = Pick<Queue, "newPool" | "newProject" | "newWorkers" | "newWorker" | "addTasks" | "addTask">;

function insertsOf({ rows }: Sql): Inserts {
  const insert = async (...statement: Parameters<typeof insertText>) =>
    (await rows<{ id: string }>(...insertText(...statement))).map(({ id }) => id);
  const newWorkers = (pool: string, count: number, columns: Columns = {}) =>
    insert(
      "workers",
      count,
      { pool, status: "active", ...columns },
      { id: `'${pool}-' || left(gen_random_uuid()::text, 8)` },
    );
  const addTasks = (pool: string, count: number, columns: Columns = {}) =>
    insert("tasks", count, { task_type: "generate_video", pool, ...columns });
  return {
    async newPool() {
      const name = `p${randomUUID().slice(0, 8)}`;
      await rows("insert into pools (name) values ($1)", [name]);
      return name;
    },
    newProject: async (limits = {}) => (await insert("projects", 1, { name: "a project", ...limits }))[0]!,
    newWorkers,
    newWorker: async (pool, columns) => (await newWorkers(pool, 1, columns))[0]!,
    addTasks,
    addTask: async (pool, columns) => (await addTasks(pool, 1, columns))[0]!,
  };
}

function workerCallsOf({ call }: Sql): Pick<Queue, "claim" | "lease" | "finish" | "fail" | "release"> {
  const claim = (worker: string) => call<Claim>("claim_task", { p_worker_id: worker });
  const outcome = async (name: string, args: Columns) => (await call<{ outcome: string }>(name, args)).outcome;
  return {
    claim,
    async lease(worker) {
      const { task, worker_status: status } = await claim(worker);
      if (task === null) {
        throw new Error(`worker ${worker} (${status}) found nothing to claim`);
      }
      return task;
    },
    finish: (lease) =>
      outcome("finish_task", { ...leaseArgs(lease), p_storage_path: null, p_output_location: null, p_result: {} }),
    fail: (lease, error, permanent = false) =>
      outcome("fail_task", { ...leaseArgs(lease), p_error: error, p_permanent: permanent }),
    release: (lease) => outcome("release_task", { ...leaseArgs(lease), p_reason: "the test gives it back" }),
  };
}

async function openSession({ databaseUrl }: TestDatabase, onEnd: (session: Session) => void): Promise<Session> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const rows = async <T>(statement: string, values: readonly unknown[] = []) =>
    (await client.query(statement, [...values])).rows as T[];
  const [row] = await rows<{ pid: number }>("select pg_backend_pid() as pid");
  const session: Session = {
    pid: row!.pid,
    rows,
    call: async <T>(name: string, args: Columns) => (await rows<{ answer: T }>(...callText(name, args)))[0]!.answer,
    async end() {
      onEnd(session);
      await client.end();
    },
  };
  return session;
}

export async function openQueue(): Promise<Queue> {
  const database = await createTestDatabase();
  const open = new Set<Session>();
  const sql = sqlOf(database);
  return {
    database,
    ...sql,
    ...insertsOf(sql),
    ...workerCallsOf(sql),
    async session() {
      const session = await openSession(database, (ended) => open.delete(ended));
      open.add(session);
      return session;
    },
    async untilBlocked({ pid }) {
      await expect
        .poll(() => sql.rows("select 1 from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'", [pid]), {
          interval: 5,
        })
        .toHaveLength(1);
    },
    async journalOf(worker) {
      const events = await sql.rows<{ kind: string }>("select kind from pool_events where worker_id = $1 order by id", [
        worker,
      ]);
      return events.map(({ kind }) => kind);
    },
    task: (id) => sql.one<Task>("select * from tasks where id = $1", [id]),
    async close() {
      for (const session of open) {
        await session.end();
      }
      await database.drop();
    },
  };
}
