import { setTimeout as sleep } from "node:timers/promises";
import { type Client, WorkflowNotFoundError } from "@temporalio/client";
import type { Logger } from "pino";
import type { Condition } from "../contract/alerts.ts";
import { deploymentOf } from "../contract/deployment.ts";
import { janitorScheduleId, notificationsWorkflowId } from "../contract/upkeep.ts";
import type { AlertStore } from "../supabase/alert-store.ts";
import type { Database } from "../supabase/client.ts";
import { readDeploymentId } from "../supabase/deployment-store.ts";
import { ensureJanitor } from "./janitor-schedule.ts";

const PAUSE_MS = 1_000;
const LOG_MS = 60_000;
/** The alert closes when this process was asked for nothing foreign for this long. */
const QUIET_MS = 600_000;

/**
 * The id of this process's database. Without it nothing may be decided, so the process waits for the database, and says
 * so once a minute.
 * @throws AbortError when the process is to stop
 */
export async function awaitDeploymentId(database: Database, logger: Logger, stopping?: AbortSignal): Promise<string> {
  let loggedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    try {
      return await readDeploymentId(database);
    } catch (error) {
      if (Date.now() - loggedAt >= LOG_MS) {
        loggedAt = Date.now();
        logger.warn(
          { err: error },
          "the database does not say which deployment it is: nothing is served until it does",
        );
      }
    }
    await sleep(PAUSE_MS, undefined, { signal: stopping });
  }
}

/** The task queue belongs to another deployment. The message says what to do. */
export class DeploymentConflict extends Error {}

/**
 * Takes the task queue for this deployment, and makes the janitor's schedule this version's. The schedule exists once per
 * task queue and holds the id of the deployment, so its creation decides which of two deployments has the queue.
 * @throws DeploymentConflict when the task queue belongs to another deployment; then nothing was changed
 */
export async function claimTaskQueue(client: Client, taskQueue: string, deployment: string): Promise<void> {
  const refuse = (holder: string, what: string) => {
    throw new DeploymentConflict(
      `task queue ${taskQueue} belongs to deployment ${holder} (${what} has this id); the database of this process is ` +
        `deployment ${deployment}.\n` +
        "  Are they two deployments? Give this one a TEMPORAL_TASK_QUEUE and pool names (GPU_POOL) of its own.\n" +
        `  Is it one, whose database was made anew? Give the database its id back: gpu-pool db deployment --set ${holder}`,
    );
  };
  // They run for ever, and tell the holder where somebody deleted the schedule.
  const notifications = await deploymentOfWorkflow(client, notificationsWorkflowId(taskQueue));
  if (notifications !== null && notifications !== deployment) {
    refuse(notifications, `workflow ${notificationsWorkflowId(taskQueue)}`);
  }
  const holder = await ensureJanitor(client, taskQueue, deployment);
  if (holder !== deployment) {
    refuse(holder, `Schedule ${janitorScheduleId(taskQueue)}`);
  }
}

/** The id in the memo of an open workflow; null: there is none. */
async function deploymentOfWorkflow(client: Client, workflowId: string): Promise<string | null> {
  try {
    const { status, memo } = await client.workflow.getHandle(workflowId).describe();
    return status.name === "RUNNING" ? deploymentOf(memo) : null;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      return null;
    }
    throw error;
  }
}

export interface ConflictAlert {
  /** Logs the problem and opens the alert. It never throws. */
  open(problem: string): Promise<void>;
  close(): Promise<void>;
}

/** The alert that another deployment uses the names of this one. It closes by itself. */
export function conflictAlert(alerts: AlertStore, taskQueue: string, logger: Logger): ConflictAlert {
  let timer: NodeJS.Timeout | undefined;
  let told: string | undefined;
  const attempt = async (write: () => Promise<unknown>) => {
    await write().catch((error: unknown) =>
      logger.warn({ err: error }, "the alert deployment_conflict was not written"),
    );
  };
  const close = async () => {
    told = undefined;
    await attempt(() => alerts.close("deployment_conflict", taskQueue));
  };
  return {
    close,
    async open(problem) {
      clearTimeout(timer);
      timer = setTimeout(() => void close(), QUIET_MS).unref();
      if (problem === told) {
        return;
      }
      told = problem;
      logger.error({ taskQueue }, problem);
      const condition: Condition = { kind: "deployment_conflict", subject: taskQueue, message: problem };
      await attempt(() => alerts.open(condition, null));
    },
  };
}
