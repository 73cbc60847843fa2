import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { workerWorkflowId } from "../../src/contract/names.ts";
import { WORKER_PHASE } from "../../src/contract/search-attributes.ts";
import { costsOfAll } from "./actions.ts";
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
  const { rows } = await bed.sql.query<{ pool: string; id: string }>(
    "select pool, id from workers where pool = any($1)",
    [POOLS],
  );
  const lives = await costsOfAll(
    bed.client.workflow,
    rows.map(({ pool, id }) => workerWorkflowId(pool, id)),
  );
  // The first drain signal counts: an order without effect is repeated after half a minute.
  const signalledMs = lives.flatMap((costs) => costs.find(({ drain }) => drain)?.timeMs ?? []);
  if (signalledMs.length < all) {
    throw new Error(`only ${signalledMs.length} of ${all} workers were signalled`);
  }
  const signalledSec = (Math.max(...signalledMs) - heldMs) / 1000;
  const peak = peakRssMb(temporalWorker.pid);
  await Promise.all(pools.map((pool) => pool.terminate("measured")));
  await temporalWorker.stop();
  return { upSec, idleCores, signalledSec, drainedSec, peakRssMb: peak };
}
