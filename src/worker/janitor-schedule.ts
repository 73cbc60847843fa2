import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleOptions,
  ScheduleOverlapPolicy,
  WorkflowIdConflictPolicy,
} from "@temporalio/client";
import type { Logger } from "pino";
import { DEPLOYMENT, deploymentOf } from "../contract/deployment.ts";
import {
  JANITOR_WORKFLOW,
  janitorScheduleId,
  NOTIFICATIONS_WORKFLOW,
  notificationsWorkflowId,
} from "../contract/upkeep.ts";

/**
 * Ensures that the workflow that delivers notifications runs. Every Temporal worker calls it at its start; several may at
 * once. A failure is only logged, because pools work without it.
 */
export async function ensureNotifications(
  client: Client,
  taskQueue: string,
  deployment: string,
  logger: Logger,
): Promise<void> {
  try {
    await client.workflow.start(NOTIFICATIONS_WORKFLOW, {
      workflowId: notificationsWorkflowId(taskQueue),
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      taskQueue,
      args: [{}],
      memo: { [DEPLOYMENT]: deployment },
      staticSummary: "delivery of the outbox",
    });
  } catch (error) {
    const advice = "notifications may wait until the janitor starts it";
    logger.warn({ taskQueue, err: error }, `the workflow for notifications could not be started: ${advice}`);
  }
}

/**
 * Ensures that the janitor's schedule is this version's. It exists once per task queue and holds the deployment's id.
 * @returns the deployment that has the schedule; if it is another one, the schedule was left as it is.
 */
export async function ensureJanitor(client: Client, taskQueue: string, deployment: string): Promise<string> {
  const scheduleId = janitorScheduleId(taskQueue);
  const wanted = {
    scheduleId,
    spec: { intervals: [{ every: "5m" as const }] },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: "1m" as const },
    action: {
      type: "startWorkflow",
      workflowType: JANITOR_WORKFLOW,
      workflowId: scheduleId,
      taskQueue,
      args: [{ taskQueue }],
      memo: { [DEPLOYMENT]: deployment },
      // Overlap is skipped: a round that no Temporal worker serves would block all later rounds.
      workflowExecutionTimeout: "4m",
    },
  } satisfies ScheduleOptions;
  try {
    await client.schedule.create(wanted);
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) {
      throw error;
    }
    const handle = client.schedule.getHandle(scheduleId);
    const { action: found } = await handle.describe();
    // A schedule of an older version has no id; it is taken over.
    const holder = deploymentOf(found.memo) ?? deployment;
    if (holder === deployment) {
      const { spec, policies, action } = wanted;
      // Keeps the state, so that a schedule that an operator paused stays paused.
      await handle.update(({ state }) => ({ spec, policies, action, state }));
    }
    return holder;
  }
  return deployment;
}
