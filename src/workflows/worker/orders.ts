import { setHandler } from "@temporalio/workflow";
import { receiveSignals } from "../signals.ts";
import {
  type DrainOrder,
  type TerminateOrder,
  type Verdict,
  workerQueries,
  workerSignals,
} from "../../contract/worker-api.ts";
import type { Life, Order } from "./life.ts";
import type { WorkerStatus } from "../../contract/inputs.ts";
import { parseDrainOrder, parseTerminateOrder, parseVerdict } from "./parse-orders.ts";

/** Handlers of all signals and queries of a worker's workflow. */
export function handleSignals(life: Life): void {
  setHandler(workerQueries.phase, () => life.phase);
  receiveSignals((name, payload) => receive(life, name, payload));
}

/** An unknown name is ignored: only its pool and an operator's hand signal a worker. */
function receive(life: Life, name: string, payload: unknown): void {
  switch (name) {
    case workerSignals.ready.name:
      life.ready = true;
      break;
    case workerSignals.released.name:
      life.released = true;
      break;
    case workerSignals.drain.name:
      giveOrder(life, { name: "drain", order: parseDrainOrder(payload) });
      break;
    case workerSignals.fail.name:
      giveOrder(life, { name: "fail", verdict: parseVerdict(payload) });
      break;
    case workerSignals.terminate.name:
      giveOrder(life, { name: "terminate", order: parseTerminateOrder(payload) });
      break;
  }
}

/** The stronger order wins: a drain never replaces an end that waits to be carried out. */
export function giveOrder(life: Life, order: Order): void {
  if (life.order === null || life.order.name === "drain") {
    life.order = order;
  }
}

export function takeOrder(life: Life): Order | null {
  const { order } = life;
  life.order = null;
  return order;
}

/** @returns the worker's new status, or null when its row refused the order. */
export async function carryOut(life: Life, order: Order): Promise<WorkerStatus | null> {
  switch (order.name) {
    case "fail":
      return await fail(life, order.verdict);
    case "drain":
      return (await drain(life, order.order)).status;
    case "terminate":
      return await terminate(life, order.order);
  }
}

async function fail(life: Life, verdict: Verdict): Promise<WorkerStatus | null> {
  const { leaseCause, reason, ...ground } = verdict;
  const { outcome, row = null } = await life.activities.failWorker(life.id, leaseCause, reason, ground);
  life.row = row;
  return outcome === "refused_recovered" ? null : "error";
}

async function drain(life: Life, order: DrainOrder): Promise<{ status: WorkerStatus | null; busy: boolean }> {
  const { outcome, busy, row = null } = await life.activities.drainWorker(life.id, order);
  life.row = row;
  life.drainsWithoutDeadline = row?.drainsWithoutDeadline ?? order.untilTaskEnds === true;
  if (outcome === "refused_busy") {
    return { status: null, busy };
  }
  life.released ||= !busy;
  return { status: outcome === "not_living" ? "error" : "terminating", busy };
}

/** Drained first: a task must not go back to the queue while its worker can claim another. */
async function terminate(life: Life, { reason }: TerminateOrder): Promise<WorkerStatus | null> {
  const { status, busy } = await drain(life, { reason, onlyIdle: false });
  if (status !== null && busy) {
    await life.activities.expelWorker(life.id, reason);
    life.released = true;
  }
  return status;
}
