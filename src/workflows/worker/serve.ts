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
    const isWoken = () => life.order !== null || life.released || isFull(life);
    await condition(isWoken, leftMs, { summary: "maximum lifetime" });
    await renewIfFull(life);
    if (life.order === null && life.released) {
      // The pool says so to drained workers only. Its rows may be drained before the workflows hear of it. A second signal
      // that comes while the row is read says something newer than the row.
      life.released = false;
      const { row } = await life.activities.loadWorker(life.id);
      if (row?.status !== "active") {
        life.released = true;
        return row?.status ?? "error";
      }
      continue;
    }
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
