import { condition } from "@temporalio/workflow";
import type { WorkerTimings } from "../../contract/inputs.ts";
import { checkBoot } from "./activities.ts";
import type { Life } from "./life.ts";
import type { WorkerStatus } from "../../contract/inputs.ts";
import { carryOut, takeOrder } from "./orders.ts";
import { isFull, renewIfFull } from "./renew.ts";

/** Waits for the first heartbeat, an order, or the spawn deadline, which counts from the last boot stage. */
export async function boot(life: Life, timings: WorkerTimings): Promise<WorkerStatus> {
  let leftMs = timings.spawningTimeoutSec * 1000;
  for (;;) {
    const isWoken = () => life.ready || life.order !== null || isFull(life);
    const woken = await condition(isWoken, leftMs, { summary: "spawn deadline" });
    await renewIfFull(life);
    const order = takeOrder(life);
    if (order !== null) {
      const ended = await carryOut(life, order);
      if (ended !== null) {
        return ended;
      }
      continue;
    }
    if (woken) {
      return "active";
    }
    // The timer alone proves nothing: this process may have been away while the pod booted.
    if (life.podId !== null) {
      await checkBoot(life.id, life.podId);
    }
    const { row } = await life.activities.loadWorker(life.id);
    if (row === null || row.status !== "spawning") {
      return row?.status ?? "error";
    }
    leftMs = row.bootStageMs + timings.spawningTimeoutSec * 1000 - row.nowMs;
    if (leftMs <= 0) {
      return await giveUp(life, `no heartbeat ${timings.spawningTimeoutSec} s after boot stage "${row.bootStage}"`);
    }
  }
}

async function giveUp(life: Life, reason: string): Promise<WorkerStatus> {
  const ground = { onlyIfSpawning: true };
  const { outcome, row = null } = await life.activities.failWorker(life.id, "worker_died", reason, ground);
  life.row = row;
  return outcome === "refused_ready" ? "active" : "error";
}
