import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleOptions,
  ScheduleOverlapPolicy,
  WorkflowIdConflictPolicy,
} from "@temporalio/client";
import type { Logger } from "pino";
import {
  JANITOR_WORKFLOW,
  janitorScheduleId,
  NOTIFICATIONS_WORKFLOW,
  notificationsWorkflowId,
} from "../contract/upkeep.ts";

/**
 * Ensures that the janitor's schedule is this version's and that the workflow that delivers notifications runs. Every
 * Temporal worker calls it at its start; several may at once. A failure is only logged, because pools work without both.
 */
export async function ensureUpkeep(client: Client, taskQueue: string, logger: Logger): Promise<void> {
  try {
    await ensureJanitor(client, taskQueue);
    await client.workflow.start(NOTIFICATIONS_WORKFLOW, {
      workflowId: notificationsWorkflowId(taskQueue),
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      taskQueue,
      args: [{}],
      staticSummary: "delivery of the outbox",
    });
  } catch (error) {
    const advice = "old logs are kept and notifications may wait until a Temporal worker starts again";
    logger.warn({ taskQueue, err: error }, `janitor or notifications could not be started: ${advice}`);
  }
}

async function ensureJanitor(client: Client, taskQueue: string): Promise<void> {
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
    const { spec, policies, action } = wanted;
    // Keeps the state, so that a schedule that an operator paused stays paused.
    await client.schedule.getHandle(scheduleId).update(({ state }) => ({ spec, policies, action, state }));
  }
}
