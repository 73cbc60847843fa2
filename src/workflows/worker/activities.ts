import { type ActivityOptions, log, proxyActivities, workflowInfo } from "@temporalio/workflow";
import type { PodActivities, WorkerActivities } from "../../contract/activities.ts";
import { runpodTaskQueue } from "../../contract/names.ts";
import { summarised } from "../summarised.ts";

/** Calls that read and write the worker's row. */
export function workerActivities(): WorkerActivities {
  const options: ActivityOptions = {
    startToCloseTimeout: "30s",
    heartbeatTimeout: "10s",
    retry: { initialInterval: "250ms", maximumInterval: "30s" },
  };
  return summarised<WorkerActivities>(options, {
    loadWorker: "read its row",
    drainWorker: "drain it: from now on it can claim no task",
    failWorker: "fail it, if the reason still holds; its task goes back to the queue",
    expelWorker: "give its unfinished task back to the queue",
    recordPod: "record its pod",
    burnName: "burn its name: no pod may have it",
    workerGone: "its pod is gone: end the row, book the cost",
  });
}

/** Asks the provider how far the boot is. Without an answer the last known stage holds. */
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
    heartbeatTimeout: "15s",
    summary: options.summary,
    retry: {
      initialInterval: "1s",
      maximumInterval: "60s",
      ...(options.maximumAttempts === undefined ? {} : { maximumAttempts: options.maximumAttempts }),
    },
  });
}
