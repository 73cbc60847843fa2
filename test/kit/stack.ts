import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Connection } from "@temporalio/client";
import { NativeConnection, Worker } from "@temporalio/worker";
import { pino } from "pino";
import { inject } from "vitest";
import { createActivities } from "../../src/activities/create-activities.ts";
import { type Config, loadConfig } from "../../src/config/config.ts";
import { POOL_WORKFLOW, poolWorkflowId, runpodTaskQueue } from "../../src/contract/names.ts";
import { startOnFreePort } from "../../src/dev/servers/free-port.ts";
import { startGateway } from "../../src/dev/gateway/gateway.ts";
import { type Keys, makeKeys } from "../../src/dev/gateway/auth.ts";
import { type Guardian, type ManagedProcess, startGuardian } from "../../src/process/guardian.ts";
import { startPostgrest } from "../../src/dev/servers/postgrest.ts";
import type { Program } from "../../src/process/program.ts";
import { createPodLauncher } from "../../src/simulator/pod-process.ts";
import type { SimulatorSettings } from "../../src/simulator/settings.ts";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import type { LaunchPod } from "../../src/simulator/types.ts";
import { createRunpodClient } from "../../src/runpod/client.ts";
import { connectDatabase, type Database } from "../../src/supabase/client.ts";
import { readDeploymentId } from "../../src/supabase/deployment-store.ts";
import { ownGround } from "../../src/worker/own-ground.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { installQuietRuntime } from "./temporal/quiet-runtime.ts";
import { inRealTime } from "./video/real-time.ts";

/** Short times, so that a worker's whole life takes seconds. Tests override the settings that they test. */
const QUICK: Readonly<Record<string, string>> = {
  MIN_ACTIVE_GPUS: "0",
  MAX_ACTIVE_GPUS: "4",
  WORKER_GRACE_PERIOD_SEC: "1",
  SCALE_DOWN_IDLE_SEC: "1",
  ORCHESTRATOR_POLL_SEC: "2",
  WATCH_INTERVAL_MS: "200",
  POD_LIST_SEC: "1",
  POD_LIST_LAG_SEC: "1",
  POD_SETTLE_SEC: "5",
  WORKER_HEARTBEAT_MS: "1000",
  WORKER_POLL_MS: "200",
  WORKER_PROFILE: "gpu-worker",
  WORKER_ENGINE: "preview",
};

const QUICK_SIMULATOR: Partial<SimulatorSettings> = {
  provisioningMs: 50,
  startingMs: 50,
  deleteLagSec: 0.2,
  stopGraceMs: 5000,
};

export interface TestStackOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly simulator?: Partial<SimulatorSettings>;
  /** Launches pods; default: the real GPU worker. */
  readonly launch?: LaunchPod;
  /** The program that pods run; default: the GPU worker, whose ffmpeg makes videos in real time. */
  readonly program?: Program;
}

/** Real Postgres, PostgREST, gateway and simulator, and a Temporal worker in this process or in its own. */
export interface TestStack {
  readonly env: Readonly<Record<string, string>>;
  readonly config: Config;
  /** Id of this stack's deployment. */
  readonly deployment: string;
  readonly keys: Keys;
  readonly api: string;
  readonly database: TestDatabase;
  readonly db: Database;
  readonly simulator: Simulator;
  readonly guardian: Guardian;
  readonly temporal: Client;
  readonly pool: string;
  /** This stack's own folder; pods log to `pods/<pod id>.log` in it. */
  readonly directory: string;
  /**
   * Runs a Temporal worker in the test's process until close. It does not ask who has the task queue.
   * @param taskQueue default: this stack's own.
   * @returns ends it sooner.
   */
  serve(taskQueue?: string): Promise<() => Promise<void>>;
  /** Starts the Temporal worker as a process that the test can kill. */
  startTemporalWorker(onLine?: (line: string) => void, environment?: Readonly<Record<string, string>>): ManagedProcess;
  startPool(input?: Readonly<Record<string, unknown>>): Promise<void>;
  /** Inserts tasks for this pool and returns their ids. */
  submit(count: number, params?: Readonly<Record<string, unknown>>): Promise<string[]>;
  rows<T>(statement: string, values?: readonly unknown[]): Promise<T[]>;
  close(): Promise<void>;
}

export async function startTestStack(options: TestStackOptions = {}): Promise<TestStack> {
  const logger = pino({ level: process.env["TEST_LOG_LEVEL"] ?? "fatal" }, process.stderr);
  const undo: Undo = [];
  const close = async () => {
    for (const end of undo.splice(0).reverse()) {
      await end();
    }
  };
  try {
    const services = await startServices(options, logger, undo);
    const { guardian, database, keys, api, simulator, directory } = services;
    // The pool's name is part of the workflow ids, and all test files share one namespace.
    const pool = `p${Math.random().toString(36).slice(2, 10)}`;
    const env = environmentOf(services, pool, options);
    const config = loadConfig(env);
    const db = connectDatabase({ url: api, serviceRoleKey: keys.serviceRoleKey });
    const deployment = await readDeploymentId(db);
    const connection = await Connection.connect({ address: inject("shared").temporalAddress });
    undo.push(() => connection.close());
    const temporal = new Client({ connection });
    const rows = queryOf(database);
    return {
      env,
      config,
      deployment,
      keys,
      api,
      database,
      db,
      simulator,
      guardian,
      temporal,
      pool,
      directory,
      rows,
      close,
      async serve(taskQueue = config.temporal.taskQueue) {
        const stop = await serveInProcess({ config, deployment, db }, taskQueue, logger);
        undo.push(stop);
        return stop;
      },
      startTemporalWorker(onLine = (line) => logger.info({ temporalWorker: line }), environment = {}) {
        return spawnTemporalWorker(guardian, { ...env, ...environment }, onLine);
      },
      async startPool(input = {}) {
        const { taskQueue } = config.temporal;
        const start = { workflowId: poolWorkflowId(pool), taskQueue, args: [{ pool, ...input }] };
        const handle = await temporal.workflow.start(POOL_WORKFLOW, start);
        undo.push(() => handle.terminate("the test is over").catch(() => undefined));
      },
      submit: (count, params = {}) => insertTasks(rows, { pool, count, params }),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The GPU worker. Its video takes as long as it plays, without work for the processor. */
export async function gpuWorker(): Promise<Program> {
  const { command, args } = builtProgram("gpu-worker/main");
  const settings = Object.entries(await inRealTime()).map(([name, value]) => `${name}=${value}`);
  return { command: "/usr/bin/env", args: [...settings, command, ...args] };
}

/** A program of the build that all tests share. @param entry its path below src/ without extension */
export function builtProgram(entry: string): Program {
  return { command: process.execPath, args: [join(inject("shared").dist, "src", `${entry}.js`)] };
}

function spawnTemporalWorker(
  guardian: Guardian,
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
): ManagedProcess {
  const { command, args } = builtProgram("worker");
  return guardian.spawn(command, args, { name: "Temporal worker", env: { ...process.env, ...env }, onLine });
}

function queryOf({ sql }: TestDatabase): TestStack["rows"] {
  return async <T>(statement: string, values: readonly unknown[] = []) =>
    (await sql.query(statement, [...values])).rows as T[];
}

async function insertTasks(
  rows: TestStack["rows"],
  { pool, count, params }: { readonly pool: string; readonly count: number; readonly params: object },
): Promise<string[]> {
  const shape = { prompt: "a cat", frames: 8, fps: 24, width: 64, height: 64, ...params };
  const inserted = await rows<{ id: string }>(
    "insert into tasks (task_type, pool, params) select 'generate_video', $1, $2 from generate_series(1, $3) returning id",
    [pool, shape, count],
  );
  return inserted.map(({ id }) => id);
}

/** The steps that undo the start, in the order of the start. */
type Undo = (() => Promise<unknown>)[];

type Services = Pick<TestStack, "guardian" | "database" | "keys" | "api" | "simulator" | "directory">;

async function startServices(options: TestStackOptions, logger: pino.Logger, undo: Undo): Promise<Services> {
  const guardian = await startGuardian({ logger });
  undo.push(() => guardian.close());
  const directory = await mkdtemp(join(tmpdir(), "gpu-pool-stack-"));
  await guardian.removeAtEnd(directory);
  await chmod(directory, 0o711);
  const database = await createTestDatabase();
  undo.push(() => database.drop());
  const keys = await makeKeys();
  const rest = { guardian, logger, databaseUrl: database.authenticatorUrl, jwtSecret: keys.jwtSecret };
  const postgrest = await startOnFreePort(undefined, async (port) => await startPostgrest({ ...rest, port }));
  const gateway = await startGateway({
    port: 0,
    postgrestUrl: postgrest.url,
    databaseUrl: database.databaseUrl,
    storageDir: join(directory, "storage"),
    keys,
    videoBucket: "videos",
    logger,
  });
  undo.push(() => gateway.close());
  const simulator = await startSimulator({
    launch: options.launch ?? createPodLauncher({ guardian, program: options.program ?? (await gpuWorker()) }),
    dataDir: directory,
    settings: { ...QUICK_SIMULATOR, ...options.simulator },
  });
  undo.push(() => simulator.close());
  return { guardian, database, keys, api: gateway.url, simulator, directory };
}

function environmentOf(
  { api, keys, database, simulator }: Services,
  pool: string,
  options: TestStackOptions,
): Record<string, string> {
  return {
    ...QUICK,
    GPU_POOL: pool,
    TEMPORAL_TASK_QUEUE: `queue-${pool}`,
    TEMPORAL_ADDRESS: inject("shared").temporalAddress,
    SUPABASE_URL: api,
    SUPABASE_ANON_KEY: keys.anonKey,
    SUPABASE_SERVICE_ROLE_KEY: keys.serviceRoleKey,
    SUPABASE_DB_URL: database.databaseUrl,
    RUNPOD_API_URL: simulator.apiUrl,
    RUNPOD_API_KEY: simulator.apiKey,
    LOG_LEVEL: "warn",
    ...options.env,
  };
}

async function serveInProcess(
  { config, deployment, db: database }: Pick<TestStack, "config" | "deployment" | "db">,
  taskQueue: string,
  logger: pino.Logger,
): Promise<() => Promise<void>> {
  const shared = inject("shared");
  installQuietRuntime();
  const connection = await NativeConnection.connect({ address: shared.temporalAddress });
  const { apiUrl, apiKey, timeoutMs } = config.runpod;
  const runpod = createRunpodClient({ apiUrl, apiKey, timeoutMs, userAgent: "gpu-pool-test" });
  const { main, provider } = createActivities({ config, deployment, database, runpod, logger });
  const interceptors = { activity: [ownGround(deployment, () => undefined)] };
  const workflowBundle = { codePath: shared.workflowBundle };
  const temporalWorkers = await Promise.all([
    Worker.create({ connection, taskQueue, workflowBundle, activities: { ...main }, interceptors }),
    Worker.create({ connection, taskQueue: runpodTaskQueue(taskQueue), activities: { ...provider }, interceptors }),
  ]);
  const running = Promise.all(temporalWorkers.map((each) => each.run()));
  let ended = false;
  return async () => {
    if (ended) {
      return;
    }
    ended = true;
    for (const each of temporalWorkers) {
      each.shutdown();
    }
    await running;
    await runpod.close();
    await connection.close();
  };
}
