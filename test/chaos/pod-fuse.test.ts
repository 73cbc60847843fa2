import { chmod, mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Connection } from "@temporalio/client";
import { type Logger, pino } from "pino";
import { afterEach, describe, expect, inject, it } from "vitest";
import { FUSE_MARGIN_SEC } from "../../src/activities/pod-request.ts";
import { POOL_WORKFLOW, poolWorkflowId } from "../../src/contract/names.ts";
import { SEARCH_ATTRIBUTES } from "../../src/contract/search-attributes.ts";
import { freePort } from "../../src/dev/servers/free-port.ts";
import { startGateway } from "../../src/dev/gateway/gateway.ts";
import { makeKeys } from "../../src/dev/gateway/auth.ts";
import { type Guardian, startGuardian } from "../../src/process/guardian.ts";
import { startPostgres } from "../../src/dev/servers/postgres.ts";
import { startPostgrest } from "../../src/dev/servers/postgrest.ts";
import { createPodLauncher } from "../../src/simulator/pod-process.ts";
import { podLogPath } from "../../src/simulator/pod-log.ts";
import { startSimulator } from "../../src/simulator/simulator.ts";
import type { LaunchPod } from "../../src/simulator/types.ts";
import { bootstrapSupabase } from "../../src/dev/servers/supabase-roles.ts";
import { startTemporalServer } from "../../src/dev/servers/temporal-server.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { deletions, killHard } from "../kit/lifecycle.ts";
import { openSqlPool } from "../kit/sql-pool.ts";
import { builtProgram, gpuWorker } from "../kit/stack.ts";

const POOL = "fused";
/** A task that cannot be rendered and delivered before the pod's end. */
const ENDLESS = { prompt: "a river", frames: 1_000, fps: 5, width: 64, height: 48 };

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of undo.splice(0).reverse()) {
    await end();
  }
});

describe("invariant 15: pods that no process is left to end", () => {
  it("end themselves, the idle one and the busy one, when Temporal, its worker and the database are killed", async () => {
    const stack = await startMortalStack({
      MIN_ACTIVE_GPUS: "2",
      MAX_ACTIVE_GPUS: "2",
      WORKER_MAX_LIFETIME_SEC: "20",
      GRACEFUL_SHUTDOWN_TIMEOUT_SEC: "5",
    });
    await expect.poll(() => stack.count("workers where status = 'active'")).toBe(2);
    await stack.rows("insert into tasks (task_type, pool, params) values ('generate_video', $1, $2)", [POOL, ENDLESS]);
    await expect.poll(() => stack.count("task_attempts where ended_at is null")).toBe(1);
    const [lease] = await stack.rows<{ worker_id: string }>("select worker_id from task_attempts");
    await Promise.all(stack.mortals.map(killHard));

    const { simulator } = stack;
    const pods = simulator.ledger().pods.filter(({ live }) => live);
    expect(pods).toHaveLength(2);
    await expect.poll(() => simulator.ledger().totals.live).toBe(0);
    for (const { id, name, pid } of pods) {
      const ended = simulator.ledger().pods.find((pod) => pod.id === id);
      expect(ended).toMatchObject({ endCause: "deleted", billing: false });
      await expect.poll(() => groupIsAlive(pid)).toBe(false);
      expect(deletions(simulator.requests(), id)).toEqual([204]);
      const log = await readFile(podLogPath(stack.directory, id), "utf8");
      expect(log).toContain(name === lease?.worker_id ? "has outlived its end" : "it deletes its own pod");
      expect(stack.podKeys.get(id)?.length).toBeGreaterThan(20);
      expect(log).not.toContain(stack.podKeys.get(id));
    }
    expect(simulator.ledger().pods).toHaveLength(2);
  });
});

/** Kills the encoders too: a pod's processes are one group. */
function groupIsAlive(pid: number | null): boolean {
  try {
    return pid !== null && process.kill(-pid, 0);
  } catch {
    return false;
  }
}

/** A stack as in kit/stack.ts, with a Temporal server and a database of its own, which the test can kill. */
async function startMortalStack(settings: Readonly<Record<string, string>>) {
  const logger = pino({ level: "silent" });
  const guardian = await startGuardian({ logger });
  undo.push(() => guardian.close());
  const directory = await mkdtemp(join(tmpdir(), "gpu-pool-fuse-"));
  await guardian.removeAtEnd(directory);
  await chmod(directory, 0o711);

  const temporal = await startTemporalServer({
    guardian,
    logger,
    binary: inject("shared").temporalBinary,
    port: await freePort(),
    searchAttributes: Object.fromEntries(SEARCH_ATTRIBUTES.map(({ name }) => [name, "Keyword"] as const)),
  });
  const { keys, gateway, sql, servers } = await startApi(guardian, logger, directory);

  const podKeys = new Map<string, string>();
  const launch = createPodLauncher({ guardian, program: await gpuWorker() });
  const launchEarlyEnding: LaunchPod = (pod) => {
    podKeys.set(pod.id, pod.env["RUNPOD_API_KEY"] ?? "");
    // The instant that the pool set, without the minutes in which a running pool would end the pod first.
    const endsAt = new Date(Date.parse(pod.env["POD_ENDS_AT"] ?? "") - FUSE_MARGIN_SEC * 1000).toISOString();
    const outputDir = join(directory, "output", pod.id);
    return launch({ ...pod, env: { ...pod.env, POD_ENDS_AT: endsAt, WORKER_OUTPUT_DIR: outputDir } });
  };
  const quick = { provisioningMs: 50, startingMs: 50, deleteLagSec: 0.2 };
  const simulator = await startSimulator({ launch: launchEarlyEnding, dataDir: directory, settings: quick });
  undo.push(() => simulator.close());

  const { command, args } = builtProgram("worker");
  const temporalWorker = guardian.spawn(command, args, {
    name: "Temporal worker",
    onLine: () => undefined,
    env: {
      ...process.env,
      GPU_POOL: POOL,
      TEMPORAL_TASK_QUEUE: POOL,
      TEMPORAL_ADDRESS: temporal.address,
      SUPABASE_URL: gateway.url,
      SUPABASE_ANON_KEY: keys.anonKey,
      SUPABASE_SERVICE_ROLE_KEY: keys.serviceRoleKey,
      RUNPOD_API_URL: simulator.apiUrl,
      RUNPOD_API_KEY: simulator.apiKey,
      WORKER_HEARTBEAT_MS: "1000",
      WORKER_POLL_MS: "200",
      WORKER_PROFILE: "gpu-worker",
      WORKER_ENGINE: "preview",
      ...settings,
    },
  });
  const connection = await Connection.connect({ address: temporal.address });
  undo.push(() => connection.close());
  const start = { workflowId: poolWorkflowId(POOL), taskQueue: POOL, args: [{ pool: POOL }] };
  await new Client({ connection }).workflow.start(POOL_WORKFLOW, start);

  const rows = async <T>(statement: string, values: readonly unknown[] = []) =>
    (await sql.query(statement, [...values])).rows as T[];
  const count = async (what: string) => (await rows<{ n: number }>(`select count(*)::int as n from ${what}`))[0]?.n;
  const mortals = [temporal.process, temporalWorker, ...servers];
  return { directory, simulator, podKeys, rows, count, mortals };
}

/** A migrated database behind PostgREST and the gateway. */
async function startApi(guardian: Guardian, logger: Logger, directory: string) {
  const dataDir = join(directory, "postgres");
  const postgres = await startPostgres({ guardian, logger, dataDir, port: await freePort(), ephemeral: true });
  await postgres.createDatabase(POOL);
  const databaseUrl = postgres.databaseUrl(POOL);
  const keys = await makeKeys();
  const authenticator = Object.assign(new URL(databaseUrl), { username: "authenticator", password: keys.jwtSecret });
  await bootstrapSupabase({ databaseUrl, authenticatorPassword: keys.jwtSecret });
  await migrate(databaseUrl);
  const sql = openSqlPool(databaseUrl, 10);
  undo.push(() => sql.end());
  const { jwtSecret } = keys;
  const rest = { databaseUrl: authenticator.href, jwtSecret, port: await freePort() };
  const postgrest = await startPostgrest({ guardian, logger, ...rest });
  const storageDir = join(directory, "storage");
  const api = { port: 0, postgrestUrl: postgrest.url, databaseUrl, storageDir, keys, videoBucket: "videos" };
  const gateway = await startGateway({ ...api, logger });
  undo.push(() => gateway.close());
  return { keys, gateway, sql, servers: [postgrest.process, postgres.process] };
}
