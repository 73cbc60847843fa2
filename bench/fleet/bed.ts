import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { Client, Connection, type WorkflowHandle } from "@temporalio/client";
import pg from "pg";
import { pino } from "pino";
import { POOL_WORKFLOW, poolWorkflowId } from "../../src/contract/names.ts";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { startStack } from "../../src/dev/stack.ts";

const SOON_MS = 300_000;

/** The provider answers at once, so that the figures show only the pool's time. */
const PROVIDER = { provisioningMs: 100, startingMs: 100, deleteLagSec: 0 };

/** On a machine with much memory, Node and the allocator would take more memory than the process needs. */
const FRUGAL = {
  NODE_OPTIONS: "--max-old-space-size=256 --max-semi-space-size=8 --v8-pool-size=1",
  MALLOC_ARENA_MAX: "2",
};

export interface Bed {
  readonly client: Client;
  readonly sql: pg.Pool;
  /** The address and key of the database's API. */
  readonly api: { readonly url: string; readonly key: string };
  /** @param apiUrl the database's API for this process; default: the stack's gateway. */
  startTemporalWorker(apiUrl?: string): ManagedProcess;
  startPool(pool: string, config: Readonly<Record<string, unknown>>): Promise<WorkflowHandle>;
  /** How many workers of these pools have one of these statuses. */
  count(statuses: readonly string[], pools: readonly string[]): Promise<number>;
  close(): Promise<void>;
}

/** The embedded stack with light pods, and the built Temporal worker, as it is deployed. */
export async function startBed(): Promise<Bed> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  await execa("tsx", ["scripts/build.ts"], { cwd: root, preferLocal: true });
  const dataDir = await mkdtemp(join(tmpdir(), "gpu-pool-bench-"));
  // Postgres does not run as root, and its own user must be able to enter this folder.
  await chmod(dataDir, 0o711);
  const logger = pino({ level: "error" }, process.stderr);
  const stack = await startStack({ dataDir, logger, fresh: true, pods: "light", simulator: PROVIDER });
  await stack.guardian.removeAtEnd(dataDir);
  const { env } = stack;
  const connection = await Connection.connect({ address: env["TEMPORAL_ADDRESS"] ?? "" });
  const client = new Client({ connection });
  const sql = new pg.Pool({ connectionString: env["SUPABASE_DB_URL"], max: 2 });
  return {
    client,
    sql,
    api: { url: env["SUPABASE_URL"] ?? "", key: env["SUPABASE_SERVICE_ROLE_KEY"] ?? "" },
    startTemporalWorker(apiUrl) {
      return stack.guardian.spawn(process.execPath, [join(root, "dist/src/worker.js")], {
        name: "Temporal worker",
        env: {
          ...process.env,
          ...env,
          ...FRUGAL,
          MIN_ACTIVE_GPUS: "0",
          MAX_ACTIVE_GPUS: "500",
          MAX_LAUNCHES_PER_MINUTE: "10000",
          RUNPOD_MAX_CALLS_PER_SEC: "1000",
          POD_LIST_LAG_SEC: "1",
          LOG_LEVEL: "error",
          ...(apiUrl === undefined ? {} : { SUPABASE_URL: apiUrl }),
        },
        onLine: (line) => process.stderr.write(`${line}\n`),
      });
    },
    async startPool(pool, config) {
      return await client.workflow.start(POOL_WORKFLOW, {
        workflowId: poolWorkflowId(pool),
        taskQueue: "gpu-pool",
        args: [{ pool, config }],
      });
    },
    async count(statuses, pools) {
      const { rows } = await sql.query<{ n: number }>(
        "select count(*)::int as n from workers where status = any($1) and pool = any($2)",
        [statuses, pools],
      );
      return rows[0]?.n ?? Number.NaN;
    },
    async close() {
      await sql.end();
      await connection.close();
      await stack.close();
    },
  };
}

/** @returns the seconds until `holds` was true. Rejects after five minutes. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<number> {
  const begunAt = performance.now();
  while (!(await holds())) {
    if (performance.now() - begunAt > SOON_MS) {
      throw new Error(`waited ${SOON_MS / 1000} s in vain for ${what}`);
    }
    await sleep(100);
  }
  return (performance.now() - begunAt) / 1000;
}
