import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { workerWorkflowId } from "../../src/contract/names.ts";
import { WORKER_PHASE } from "../../src/contract/search-attributes.ts";
import { costsOfAll } from "./actions.ts";
import { type Bed, until } from "./bed.ts";
import { cpuSec, peakRssMb } from "./process-use.ts";

const POOLS = ["left", "right"];
const SETTLE_MS = 20_000;
const IDLE_MS = 60_000;

export interface BigFleet {
  readonly upSec: number;
  readonly idleCores: number;
  /** Until the last worker's workflow had its order. */
  readonly signalledSec: number;
  /** Until the last worker's row refused claims. */
  readonly drainedSec: number;
  readonly peakRssMb: number;
}

/** Two pools, each brought from nothing to `size` workers and back, under one Temporal worker process. */
export async function measureBigFleet(bed: Bed, size: number): Promise<BigFleet> {
  const worker = bed.startWorker();
  const config = { minActiveGpus: 0, maxActiveGpus: size };
  const pools = await Promise.all(POOLS.map((pool) => bed.startPool(pool, config)));
  await until("both pools to watch", async () => {
    const statuses = await Promise.all(pools.map((pool) => pool.query<{ snapshot: unknown }>("status")));
    return statuses.every(({ snapshot }) => snapshot !== null);
  });
  const holdAt = (target: number) =>
    Promise.all(pools.map((pool) => pool.executeUpdate("scale", { args: [{ target }] })));

  const all = POOLS.length * size;
  const up = until(`${all} active workers`, async () => (await bed.count(["active"], POOLS)) === all);
  await holdAt(size);
  const upSec = await up;

  // Idle is who has nothing left to do: the news of a thousand first heartbeats takes its workflows a while.
  await until("every worker's workflow to know that it is active", async () => {
    const query = `WorkflowType = 'gpuWorker' and ${WORKER_PHASE.name} = 'active' and ExecutionStatus = 'Running'`;
    return (await bed.client.workflow.count(query)).count === all;
  });
  await sleep(SETTLE_MS);
  const before = { cpu: cpuSec(worker.pid), at: performance.now() };
  await sleep(IDLE_MS);
  const idleCores = (cpuSec(worker.pid) - before.cpu) / ((performance.now() - before.at) / 1000);

  const heldMs = Date.now();
  const drained = until(
    "every worker to be told to go",
    async () => (await bed.count(["spawning", "active"], POOLS)) === 0,
  );
  await holdAt(0);
  const drainedSec = await drained;
  await until("the last pod to be gone", async () => (await bed.count(["terminating"], POOLS)) === 0);
  const { rows } = await bed.sql.query<{ pool: string; id: string }>(
    "select pool, id from workers where pool = any($1)",
    [POOLS],
  );
  const lives = await costsOfAll(
    bed.client.workflow,
    rows.map(({ pool, id }) => workerWorkflowId(pool, id)),
  );
  // An order that had no effect within half a minute is given again: the first one counts.
  const told = lives.flatMap((costs) => costs.find(({ drain }) => drain)?.timeMs ?? []);
  if (told.length < all) {
    throw new Error(`only ${told.length} of ${all} workers were signalled`);
  }
  const signalledSec = (Math.max(...told) - heldMs) / 1000;
  const peak = peakRssMb(worker.pid);
  await Promise.all(pools.map((pool) => pool.terminate("measured")));
  await worker.stop();
  return { upSec, idleCores, signalledSec, drainedSec, peakRssMb: peak };
}
