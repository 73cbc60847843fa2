import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { Client, Connection, type WorkflowHandle } from "@temporalio/client";
import { pino } from "pino";
import { WebSocket } from "undici";
import { POOL_WORKFLOW, poolWorkflowId } from "../src/contract/names.ts";
import type { Simulator } from "../src/simulator/simulator.ts";
import { startStack } from "../src/dev/stack.ts";
import { createRunpodClient } from "../src/runpod/client.ts";
import type { Figure } from "./figure.ts";
import { poolUpdates } from "../src/contract/pool-api.ts";

export const description =
  "Time from the insert of a task into an empty pool to the create-pod request at the provider";

const SAMPLES = 50;
const PEER_PERIOD_MS = 30_000;
const SOON_MS = 30_000;

/** Measures the pool at its default watch interval, and a loop that polls every 30 s, as the incumbent orchestrator does. */
export async function run(): Promise<Figure[]> {
  const dataDir = await mkdtemp(join(tmpdir(), "gpu-pool-bench-"));
  // Postgres does not run as root, and its own user must be able to enter this folder.
  await chmod(dataDir, 0o711);
  const logger = pino({ level: "error" }, process.stderr);
  const stack = await startStack({
    dataDir,
    logger,
    fresh: true,
    simulator: { provisioningMs: 50, startingMs: 50, deleteLagSec: 0 },
  });
  await stack.guardian.removeAtEnd(dataDir);
  const { simulator, env } = stack;
  try {
    if (simulator === null) {
      throw new Error("this benchmark needs the simulator: unset RUNPOD_API_KEY");
    }
    // Only the request counts here, so the pods start no process.
    simulator.addFault({ on: "create", kind: "mute", times: 10 * SAMPLES });
    stack.startTemporalWorker({
      MIN_ACTIVE_GPUS: "0",
      MAX_ACTIVE_GPUS: "1",
      POD_LIST_LAG_SEC: "0",
      LOG_LEVEL: "error",
    });
    const database = createClient(env["SUPABASE_URL"] ?? "", env["SUPABASE_SERVICE_ROLE_KEY"] ?? "", {
      auth: { persistSession: false },
      realtime: { transport: WebSocket as never },
    });
    const connection = await Connection.connect({ address: env["TEMPORAL_ADDRESS"] ?? "" });
    const pool = await new Client({ connection }).workflow.start(POOL_WORKFLOW, {
      workflowId: poolWorkflowId("bench"),
      taskQueue: "gpu-pool",
      args: [{ pool: "bench" }],
    });
    const ours: number[] = [];
    // The first sample warms everything up and is not counted.
    for (let sample = 0; sample <= SAMPLES; sample += 1) {
      const reaction = await measureOnce(database, simulator, pool, sample);
      if (sample > 0) {
        ours.push(reaction);
      }
      process.stderr.write(`\r  ${sample}/${SAMPLES}`);
    }
    await pool.terminate("measured");
    await connection.close();
    process.stderr.write("\n  the peer, for about a minute …\n");
    const peer = await measurePeer(database, simulator);
    return [
      figure("p50", quantile(ours, 0.5), quantile(peer, 0.5), 0.5),
      figure("p99", quantile(ours, 0.99), quantile(peer, 0.99), 1),
    ];
  } finally {
    await stack.close();
  }
}

async function measureOnce(
  database: SupabaseClient,
  simulator: Simulator,
  pool: WorkflowHandle,
  sample: number,
): Promise<number> {
  // Spreads the inserts evenly over the watch interval of 500 ms.
  await sleep((sample * 37) % 500);
  const before = creations(simulator, "bench-").length;
  const insertedAt = Date.now();
  const { data, error } = await database
    .from("tasks")
    .insert({ task_type: "generate_video", pool: "bench", params: {} })
    .select("id")
    .single();
  if (error) {
    throw new Error(`insert failed: ${error.message}`);
  }
  await until(() => creations(simulator, "bench-").length > before, "the create request");
  const arrivedAt = creations(simulator, "bench-")[before] ?? Number.NaN;

  await database.from("tasks").update({ status: "Cancelled" }).eq("id", data.id);
  await pool.executeUpdate(poolUpdates.drain);
  await until(async () => {
    const living = await database.from("workers").select("id").eq("pool", "bench").is("gone_at", null);
    return living.data?.length === 0;
  }, "the pool to be empty again");
  await pool.executeUpdate(poolUpdates.resume);
  return (arrivedAt - insertedAt) / 1000;
}

/** Fifty inserts spread evenly over two periods, for a loop that polls every 30 s and posts one pod after the other. */
async function measurePeer(database: SupabaseClient, simulator: Simulator): Promise<number[]> {
  const { apiUrl, apiKey } = simulator;
  const runpod = createRunpodClient({ apiUrl, apiKey, userAgent: "gpu-pool-bench" });
  const insertedAt = new Map<string, number>();
  const startedAt = performance.now();
  let polling = true;
  const loop = (async () => {
    const served = new Set<string>();
    while (polling) {
      await sleep(PEER_PERIOD_MS);
      const { data } = await database.from("tasks").select("id").eq("pool", "peer").eq("status", "Queued");
      for (const { id } of (data ?? []).filter((task) => !served.has(task.id))) {
        served.add(id);
        await runpod.createPod({
          name: `peer-${id}`,
          image: "any",
          gpu: { id: "NVIDIA GeForce RTX 4090", count: 1 },
          cloud: "SECURE",
          disk: 10,
          env: {},
        });
      }
    }
  })();
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const dueMs = ((sample + 0.5) * 2 * PEER_PERIOD_MS) / SAMPLES - 500;
    await sleep(Math.max(0, startedAt + dueMs - performance.now()));
    const { data } = await database
      .from("tasks")
      .insert({ task_type: "generate_video", pool: "peer", params: {} })
      .select("id")
      .single();
    insertedAt.set(`peer-${data?.id}`, Date.now());
  }
  await until(
    () => creations(simulator, "peer-").length >= SAMPLES,
    "the peer's last create request",
    2 * PEER_PERIOD_MS,
  );
  polling = false;
  const reactions = simulator.requests().flatMap((request) => {
    const since = request.method === "POST" ? insertedAt.get(request.name ?? "") : undefined;
    return since === undefined ? [] : [(request.timeMs - since) / 1000];
  });
  await loop;
  await runpod.close();
  return reactions;
}

function creations(simulator: Simulator, prefix: string): number[] {
  return simulator
    .requests()
    .filter(({ method, name }) => method === "POST" && name?.startsWith(prefix))
    .map(({ timeMs }) => timeMs);
}

async function until(holds: () => boolean | Promise<boolean>, what: string, timeoutMs = SOON_MS): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs / 1000} s in vain for ${what}`);
    }
    await sleep(10);
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
}

function figure(name: string, value: number, peer: number, limit: number): Figure {
  return {
    name: `insert → create request, ${name}`,
    value,
    unit: "s",
    peer: { name: "a loop that polls every 30 s", value: peer },
    ratio: value / peer,
    betterIs: "lower",
    limit: { on: "value", bound: limit },
    ok: value <= limit,
  };
}
