import { condition } from "@temporalio/workflow";
import type { WorkerTimings } from "../../contract/inputs.ts";
import { enter, type Life, type Order } from "./life.ts";
import type { WorkerStatus } from "../../contract/inputs.ts";
import { carryOut, takeOrder } from "./orders.ts";
import { isFull, renewIfFull } from "./renew.ts";

/**
 * Lets a drained worker finish its task, unless a deadline passes first; then the task goes back to the queue.
 * @returns terminating, or error when the worker failed meanwhile.
 */
export async function finishTask(life: Life, timings: WorkerTimings): Promise<WorkerStatus> {
  if (life.released) {
    return "terminating";
  }
  enter(life, "draining");
  const row = life.row ?? (await life.activities.loadWorker(life.id)).row;
  life.drainsWithoutDeadline = row?.drainsWithoutDeadline ?? life.drainsWithoutDeadline;
  const drainedForMs = row === null ? 0 : row.nowMs - (row.terminatingMs ?? row.nowMs);
  const graceMs = timings.gracefulShutdownTimeoutSec * 1000;
  let deadlineMs = Date.now() + graceMs - drainedForMs;
  for (;;) {
    if (row?.busy === true && !life.released) {
      await (life.drainsWithoutDeadline ? taskEndOrOrder(life) : taskEndOrDeadline(life, deadlineMs));
      await renewIfFull(life);
    }
    const order = takeOrder(life);
    if (order?.name === "drain" && life.drainsWithoutDeadline) {
      if ((await carryOut(life, order)) === "error") {
        return "error";
      }
      deadlineMs = Date.now() + graceMs;
    } else if (order?.name === "fail") {
      const ended = await carryOut(life, order);
      if (ended !== null) {
        return ended;
      }
    } else {
      if (!life.released) {
        await life.activities.expelWorker(life.id, reasonToExpel(order, timings));
      }
      return "terminating";
    }
  }
}

/** Without a deadline. Any order ends the wait, a drain too: it may set a deadline. */
async function taskEndOrOrder(life: Life): Promise<void> {
  await condition(() => life.released || life.order !== null || isFull(life));
}

/** A further drain changes nothing and does not end the wait; a verdict or a termination does. */
async function taskEndOrDeadline(life: Life, deadlineMs: number): Promise<void> {
  const leftMs = deadlineMs - Date.now();
  if (leftMs > 0) {
    const isOver = () => life.released || (life.order !== null && life.order.name !== "drain") || isFull(life);
    await condition(isOver, leftMs, { summary: "graceful shutdown deadline" });
  }
}

function reasonToExpel(order: Order | null, { gracefulShutdownTimeoutSec }: WorkerTimings): string {
  return order?.name === "terminate"
    ? order.order.reason
    : `still busy ${gracefulShutdownTimeoutSec} s after the drain`;
}
