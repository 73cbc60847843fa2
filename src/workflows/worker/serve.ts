import { condition } from "@temporalio/workflow";
import type { WorkerTimings } from "../../contract/inputs.ts";
import type { Life, Order } from "./life.ts";
import type { WorkerStatus } from "../../contract/inputs.ts";
import { carryOut, takeOrder } from "./orders.ts";
import { isFull, renewIfFull } from "./renew.ts";

/** Sleeps until an order comes that the row does not refuse, or the maximum lifetime has passed. */
export async function serve(life: Life, endsAtMs: number, timings: WorkerTimings): Promise<WorkerStatus> {
  for (;;) {
    const leftMs = Math.max(1, endsAtMs - Date.now());
    await condition(() => life.order !== null || isFull(life), leftMs, { summary: "maximum lifetime" });
    await renewIfFull(life);
    const ended = await carryOut(life, takeOrder(life) ?? rotation(timings));
    if (ended !== null) {
      return ended;
    }
  }
}

function rotation({ workerMaxLifetimeSec }: WorkerTimings): Order {
  const reason = `maximum lifetime of ${workerMaxLifetimeSec} s reached`;
  return { name: "drain", order: { reason, onlyIdle: false } };
}
