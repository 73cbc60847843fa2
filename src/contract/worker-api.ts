import type { BaseWorkflowHandle, Workflow } from "@temporalio/common";
import { query, signal } from "./definitions.ts";

/**
 * Signals and queries of a GPU worker's workflow, from its pool or by hand; by hand also without a payload. The updates
 * drainWorker and terminateWorker go to the pool's workflow (pool-api.ts).
 */

export const workerSignals = {
  /** Its first heartbeat came. */
  ready: signal("ready"),
  /** It holds no task any more. */
  released: signal("released"),
  drain: signal<[order?: Partial<DrainOrder>]>("drain"),
  fail: signal<[verdict?: Partial<Verdict>]>("fail"),
  terminate: signal<[order?: Partial<TerminateOrder>]>("terminate"),
};

export const workerQueries = {
  phase: query<WorkerPhase>("phase"),
};

export type WorkerPhase = "loading" | "creating" | "booting" | "active" | "draining" | "burying" | "gone";

export interface DrainOrder {
  readonly reason: string;
  /** Refused by a worker that has claimed a task meanwhile. */
  readonly onlyIdle: boolean;
  /** The running task may take as long as it makes progress: no shutdown deadline ends it. */
  readonly untilTaskEnds?: boolean;
}

/** The running task goes back to the queue at once, uncounted. */
export interface TerminateOrder {
  readonly reason: string;
}

export interface Verdict {
  /** Null: an operator ordered it. */
  readonly evidence: Evidence | null;
  readonly leaseCause: LeaseCause;
  readonly reason: string;
  /** The last heartbeat that the verdict knew, ms since epoch; a later one refuses it. Null: heartbeats do not matter. */
  readonly heartbeatMs: number | null;
  /** The last progress that the verdict knew, ms since epoch; a later one refuses it. Left out: progress does not matter. */
  readonly progressMs?: number;
  /**
   * Start of the failures that make the worker sick, ms since epoch; a task completed after it refuses the verdict. The
   * tasks that it failed since then are put back. Left out: the worker is not sick.
   */
  readonly failedSinceMs?: number;
}

/** Why a worker's open lease is closed. Only worker_died and stuck count against the task's attempts. */
export type LeaseCause = "worker_died" | "stuck" | "host_lost";

/**
 * Evidence of a verdict. The provider's word and the worker's own report are proof; silence, standstill and a run of
 * failed tasks only raise suspicion.
 */
export type Evidence = "provider" | "report" | "heartbeat" | "progress" | "failures";

/** A signal with its payload, as a plan holds it. */
export type WorkerSignal =
  | { readonly name: "ready" }
  | { readonly name: "released" }
  | { readonly name: "drain"; readonly order: DrainOrder }
  | { readonly name: "fail"; readonly verdict: Verdict }
  | { readonly name: "terminate"; readonly order: TerminateOrder };

/** @param worker the handle of its workflow, that of a client or that of another workflow. */
export async function sendToWorker(
  worker: Pick<BaseWorkflowHandle<Workflow>, "signal">,
  message: WorkerSignal,
): Promise<void> {
  switch (message.name) {
    case "ready":
      return await worker.signal(workerSignals.ready);
    case "released":
      return await worker.signal(workerSignals.released);
    case "drain":
      return await worker.signal(workerSignals.drain, message.order);
    case "fail":
      return await worker.signal(workerSignals.fail, message.verdict);
    case "terminate":
      return await worker.signal(workerSignals.terminate, message.order);
  }
}
