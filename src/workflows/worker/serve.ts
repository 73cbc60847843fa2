import { condition } from "@temporalio/workflow";
import type { WorkerRow, WorkerTimings } from "../../contract/inputs.ts";
import type { Life, Order } from "./life.ts";
import type { WorkerStatus } from "../../contract/inputs.ts";
import { carryOut, takeOrder } from "./orders.ts";

/** Sleeps until an order comes that the row does not refuse, or the maximum lifetime has passed. */
export async function serve(life: Life, row: WorkerRow, timings: WorkerTimings): Promise<WorkerStatus> {
  const endsAtMs = Date.now() + row.createdMs + timings.workerMaxLifetimeSec * 1000 - row.nowMs;
  for (;;) {
    const leftMs = Math.max(1, endsAtMs - Date.now());
    await condition(() => life.order !== null, leftMs, { summary: "maximum lifetime" });
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
