import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkflowHandle } from "@temporalio/client";
import { poolWorkflowId, workerWorkflowId } from "../../src/contract/names.ts";
import { type Cost, costsOf, costsOfAll, sumOfActions } from "./actions.ts";
import { type Bed, until } from "./bed.ts";
import { startCountingProxy } from "./counting-proxy.ts";
import { poolUpdates } from "../../src/contract/pool-api.ts";

const POOL = "quiet";
const CALM_MS = 15_000;
const LONGEST_WAIT_FOR_CALM_MS = 60_000;
const LEAST_STRETCH_MS = 180_000;
const SEC_PER_HOUR = 3600;
/** The period of the incumbent orchestrator's loop. */
const PEER_PERIOD_SEC = 30;

export interface QuietPool {
  readonly stretchSec: number;
  readonly eventsPerHour: number;
  readonly actionsPerWorkerHour: number;
  /** A worker's actions from reservation to deletion, with its share of the pool's actions. */
  readonly actionsPerLife: number;
  readonly bytesPerHour: number;
  /** The same figure for a loop that reads the living workers and the counts every 30 s. */
  readonly peerBytesPerHour: number;
}

/** Grows one pool to `size` workers without a task, leaves it alone for a while, and drains it. */
export async function measureQuietPool(bed: Bed, size: number): Promise<QuietPool> {
  const proxy = await startCountingProxy(bed.api.url);
  const temporalWorker = bed.startTemporalWorker(proxy.url);
  try {
    const pool = await bed.startPool(POOL, { minActiveGpus: size, maxActiveGpus: size });
    await until(`${size} active workers`, async () => (await bed.count(["active"], [POOL])) === size);

    // Measured from one return of the watch to another, so that only whole watches count.
    const fromMs = await untilCalm(pool);
    const from = { bytes: proxy.readBytes(), at: performance.now() };
    const toMs = await untilGrown(pool, fromMs + LEAST_STRETCH_MS);
    const bytes = proxy.readBytes() - from.bytes;
    const bytesHours = (performance.now() - from.at) / 1000 / SEC_PER_HOUR;
    const peerBytes = await readAsPeer(bed);

    const { rows } = await bed.sql.query<{ id: string }>("select id from workers where pool = $1", [POOL]);
    const workflows = rows.map(({ id }) => workerWorkflowId(POOL, id));
    const hours = (toMs - fromMs) / 1000 / SEC_PER_HOUR;
    // Worker workflows still handle the pool's last signals when the pool is idle already.
    const restedMs = fromMs + CALM_MS;
    const restedHours = (toMs - restedMs) / 1000 / SEC_PER_HOUR;
    const between = (costs: readonly Cost[], sinceMs: number) =>
      costs.filter(({ timeMs }) => timeMs > sinceMs && timeMs <= toMs);
    const ofPool = between(await costsOf(bed.client.workflow, poolWorkflowId(POOL)), fromMs);
    const ofWorkers = between((await costsOfAll(bed.client.workflow, workflows)).flat(), restedMs);

    await pool.executeUpdate(poolUpdates.drain);
    await until("the last pod to be gone", async () => (await bed.count(["active", "terminating"], [POOL])) === 0);
    await Promise.all(workflows.slice(-10).map((id) => bed.client.workflow.getHandle(id).result()));
    const life = sumOfActions((await costsOfAll(bed.client.workflow, workflows)).flat());
    const share = sumOfActions(await costsOf(bed.client.workflow, poolWorkflowId(POOL)));
    await pool.terminate("measured");

    return {
      stretchSec: hours * SEC_PER_HOUR,
      eventsPerHour: ofPool.length / hours,
      actionsPerWorkerHour: (sumOfActions(ofPool) / hours + sumOfActions(ofWorkers) / restedHours) / size,
      actionsPerLife: (life + share) / workflows.length,
      bytesPerHour: bytes / bytesHours,
      peerBytesPerHour: (peerBytes * SEC_PER_HOUR) / PEER_PERIOD_SEC,
    };
  } finally {
    await temporalWorker.stop();
    await proxy.close();
  }
}

/** Waits until the pool has no new event for a while, at most 60 s. @returns the time of its last event. */
async function untilCalm(pool: WorkflowHandle): Promise<number> {
  const giveUpAt = performance.now() + LONGEST_WAIT_FOR_CALM_MS;
  let length = await historyLength(pool);
  for (let since = performance.now(); performance.now() < Math.min(since + CALM_MS, giveUpAt); await sleep(500)) {
    const now = await historyLength(pool);
    if (now !== length) {
      since = performance.now();
    }
    length = now;
  }
  return await lastEventMs(pool);
}

/** Waits for the pool's first event after `afterMs`, and 2 s for the events that follow it. @returns the time of the last one. */
async function untilGrown(pool: WorkflowHandle, afterMs: number): Promise<number> {
  await sleep(Math.max(0, afterMs - Date.now()));
  const length = await historyLength(pool);
  await until("the watch to return", async () => (await historyLength(pool)) !== length);
  await sleep(2_000);
  return await lastEventMs(pool);
}

async function historyLength(pool: WorkflowHandle): Promise<number> {
  return (await pool.describe()).historyLength;
}

async function lastEventMs(pool: WorkflowHandle): Promise<number> {
  const costs = await costsOf(pool.client, pool.workflowId);
  return costs.at(-1)?.timeMs ?? Number.NaN;
}

async function readAsPeer({ api }: Bed): Promise<number> {
  const paths = [
    `workers?select=*&pool=eq.${POOL}&gone_at=is.null`,
    "tasks?select=id&status=eq.Queued",
    "tasks?select=id&status=eq.In%20Progress",
  ];
  const sizes = paths.map(async (path) => {
    const answer = await fetch(`${api.url}/rest/v1/${path}`, { headers: { apikey: api.key } });
    if (!answer.ok) {
      throw new Error(`the peer's read of ${path} was answered ${answer.status}: ${await answer.text()}`);
    }
    return (await answer.arrayBuffer()).byteLength;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
