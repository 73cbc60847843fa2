import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { workerWorkflowId } from "../../src/contract/names.ts";
import { WORKER_PHASE } from "../../src/contract/search-attributes.ts";
import { type Cost, costsOf, costsOfAll } from "./actions.ts";
import { type Bed, until } from "./bed.ts";
import { cpuSec, peakRssMb } from "./process-use.ts";
import { poolQueries, poolUpdates } from "../../src/contract/pool-api.ts";

const POOLS = ["left", "right"];
const SETTLE_MS = 20_000;
const IDLE_MS = 60_000;

export interface BigFleet {
  readonly upSec: number;
  readonly idleCores: number;
  /** Seconds until the last worker workflow had its drain signal. */
  readonly signalledSec: number;
  /** Seconds until the last worker's row refused claims. */
  readonly drainedSec: number;
  /** The most pods that the provider was made to delete within one second. */
  readonly deletedPerSec: number;
  readonly peakRssMb: number;
}

/** Grows two pools from zero to `size` workers each and back to zero, under one Temporal worker process. */
export async function measureBigFleet(bed: Bed, size: number): Promise<BigFleet> {
  const temporalWorker = bed.startTemporalWorker();
  const config = { minActiveGpus: 0, maxActiveGpus: size };
  const pools = await Promise.all(POOLS.map((pool) => bed.startPool(pool, config)));
  await until("both pools to watch", async () => {
    const statuses = await Promise.all(pools.map((pool) => pool.query(poolQueries.status)));
    return statuses.every(({ snapshot }) => snapshot !== null);
  });
  const holdAt = (target: number) =>
    Promise.all(pools.map((pool) => pool.executeUpdate(poolUpdates.scale, { args: [{ target }] })));

  const all = POOLS.length * size;
  const up = until(`${all} active workers`, async () => (await bed.count(["active"], POOLS)) === all);
  await holdAt(size);
  const upSec = await up;

  // The fleet is idle only after a thousand `ready` signals were handled, which takes a while.
  await until("every worker's workflow to know that it is active", async () => {
    const query = `WorkflowType = 'gpuWorker' and ${WORKER_PHASE.name} = 'active' and ExecutionStatus = 'Running'`;
    return (await bed.client.workflow.count(query)).count === all;
  });
  await sleep(SETTLE_MS);
  const before = { cpu: cpuSec(temporalWorker.pid), at: performance.now() };
  await sleep(IDLE_MS);
  const idleCores = (cpuSec(temporalWorker.pid) - before.cpu) / ((performance.now() - before.at) / 1000);

  const heldMs = Date.now();
  const drained = until(
    "every worker's row to refuse claims",
    async () => (await bed.count(["spawning", "active"], POOLS)) === 0,
  );
  await holdAt(0);
  const drainedSec = await drained;
  await until("the last pod to be gone", async () => (await bed.count(["terminating"], POOLS)) === 0);
  const signalledSec = ((await lastSignalledMs(bed)) - heldMs) / 1000;
  const deletedPerSec = await mostDeletedPerSec(bed);
  const peak = peakRssMb(temporalWorker.pid);
  await Promise.all(pools.map((pool) => pool.terminate("measured")));
  await temporalWorker.stop();
  return { upSec, idleCores, signalledSec, drainedSec, deletedPerSec, peakRssMb: peak };
}

interface Ended {
  readonly pool: string;
  readonly id: string;
  readonly status: string;
  readonly status_reason: string | null;
}

/**
 * When the last worker had its first drain signal, ms since epoch. Workers that a verdict ended had none; they are named on
 * stderr. @throws Error that names the others without one
 */
async function lastSignalledMs(bed: Bed): Promise<number> {
  const { rows } = await bed.sql.query<Ended>(
    "select pool, id, status, status_reason from workers where pool = any($1)",
    [POOLS],
  );
  const lives = await costsOfAll(
    bed.client.workflow,
    rows.map(({ pool, id }) => workerWorkflowId(pool, id)),
  );
  const signalledMs: number[] = [];
  const unsignalled: Ended[] = [];
  for (const [index, worker] of rows.entries()) {
    // A workflow that was started once more for a signal has the drain in its run before.
    const drain = lives[index]?.find(isDrain) ?? (await costsOfRuns(bed, worker)).find(isDrain);
    if (drain === undefined) {
      unsignalled.push(worker);
    } else {
      signalledMs.push(drain.timeMs);
    }
  }
  const told = unsignalled.map(({ id, status, status_reason: reason }) => `${id} (${status}: ${reason})`).join("; ");
  if (unsignalled.some(({ status }) => status !== "error")) {
    throw new Error(`workers that ended without a drain signal: ${told}`);
  }
  if (unsignalled.length > 0) {
    process.stderr.write(`  ended by a verdict and not by the drain: ${told}\n`);
  }
  return Math.max(...signalledMs);
}

function isDrain({ drain }: Cost): boolean {
  return drain;
}

async function costsOfRuns({ client }: Bed, { pool, id }: Ended): Promise<Cost[]> {
  const runs: Cost[][] = [];
  for await (const { workflowId, runId } of client.workflow.list({
    query: `WorkflowId = '${workerWorkflowId(pool, id)}'`,
  })) {
    runs.unshift(await costsOf(client.workflow, workflowId, runId));
  }
  return runs.flat();
}

/** The most pods whose deletion the provider accepted within one second of the clock. */
async function mostDeletedPerSec(bed: Bed): Promise<number> {
  const { rows } = await bed.sql.query<{ most: number }>(
    `select max(n)::int as most
     from (select count(*) as n from workers where pool = any($1) group by date_trunc('second', deleted_at)) as seconds`,
    [POOLS],
  );
  return rows[0]?.most ?? Number.NaN;
}
