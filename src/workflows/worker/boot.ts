import { condition } from "@temporalio/workflow";
import { bootTimeoutSec, shortestBootTimeoutSec } from "../../contract/boot-stages.ts";
import type { WorkerTimings } from "../../contract/inputs.ts";
import { checkBoot } from "./activities.ts";
import type { Life } from "./life.ts";
import type { WorkerStatus } from "../../contract/inputs.ts";
import { carryOut, takeOrder } from "./orders.ts";
import { isFull, renewIfFull } from "./renew.ts";

/** Waits for the first heartbeat, an order, or the deadline of a boot stage, which counts from when the stage began. */
export async function boot(life: Life, timings: WorkerTimings): Promise<WorkerStatus> {
  // No stage that begins unseen from now on can reach its deadline before this time has passed.
  const unseenMs = shortestBootTimeoutSec(timings) * 1000;
  let leftMs = bootTimeoutSec("created", timings) * 1000;
  for (;;) {
    const isWoken = () => life.ready || life.order !== null || isFull(life);
    const woken = await condition(isWoken, Math.min(leftMs, unseenMs), { summary: "spawn deadline" });
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
    const timeoutSec = bootTimeoutSec(row.bootStage, timings);
    leftMs = row.bootStageMs + timeoutSec * 1000 - row.nowMs;
    if (leftMs <= 0) {
      return await giveUp(life, `no heartbeat ${timeoutSec} s after boot stage "${row.bootStage}"`);
    }
  }
}

async function giveUp(life: Life, reason: string): Promise<WorkerStatus> {
  const ground = { onlyIfSpawning: true };
  const { outcome, row = null } = await life.activities.failWorker(life.id, "worker_died", reason, ground);
  life.row = row;
  return outcome === "refused_ready" ? "active" : "error";
}
