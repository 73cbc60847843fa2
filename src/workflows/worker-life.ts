import { log, proxyActivities, workflowInfo } from "@temporalio/workflow";
import type { PodActivities, WorkerActivities } from "../contract/activities.ts";
import { runpodTaskQueue } from "../contract/names.ts";
import type { DrainOrder, Verdict } from "../contract/plan.ts";

/** What a worker was told by its pool or by an operator. */
export type Order =
  | { readonly kind: "drain"; readonly order: DrainOrder }
  | { readonly kind: "fail"; readonly verdict: Verdict }
  | { readonly kind: "terminate"; readonly reason: string };

export function workerStore(): WorkerActivities {
  return proxyActivities<WorkerActivities>({
    startToCloseTimeout: "30s",
    retry: { initialInterval: "250ms", maximumInterval: "30s" },
  });
}

/** Asks the provider how far the boot is. Without an answer there is no evidence of a later stage. */
export async function checkBoot(id: string, podId: string): Promise<void> {
  try {
    await podActivities({ summary: "how far is the boot?", maximumAttempts: 3 }).checkBoot(id, podId);
  } catch (error) {
    log.warn("the provider does not say how far the boot is", { worker: id, podId, error });
  }
}

/** Calls to the provider, on its own task queue. */
export function podActivities(options: { summary: string; maximumAttempts?: number }): PodActivities {
  return proxyActivities<PodActivities>({
    taskQueue: runpodTaskQueue(workflowInfo().taskQueue),
    startToCloseTimeout: "2m",
    summary: options.summary,
    retry: {
      initialInterval: "1s",
      maximumInterval: "60s",
      ...(options.maximumAttempts === undefined ? {} : { maximumAttempts: options.maximumAttempts }),
    },
  });
}
