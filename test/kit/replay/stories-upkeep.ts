import type { WorkflowHandle } from "@temporalio/client";
import { JANITOR_WORKFLOW, NOTIFICATIONS_WORKFLOW, notificationsWorkflowId } from "../../../src/contract/upkeep.ts";
import { type Stage, until } from "../workflow/fake-service.ts";

/** Deliveries until the history is too long, and the run after it takes over. */
export async function playNotifications({ temporal, taskQueue }: Stage): Promise<readonly WorkflowHandle[]> {
  const workflowId = notificationsWorkflowId(taskQueue);
  const started = await temporal.workflow.start(NOTIFICATIONS_WORKFLOW, {
    workflowId,
    taskQueue,
    args: [{ maxHistoryLength: 10 }],
  });
  const first = temporal.workflow.getHandle(workflowId, started.firstExecutionRunId);
  await until(
    async () => (await first.describe()).status.name,
    (status) => {
      if (status !== "CONTINUED_AS_NEW") {
        throw new Error(`the first run is ${status}`);
      }
    },
  );
  await temporal.workflow.getHandle(workflowId).terminate("its story is over");
  return [first];
}

/** Two rounds: the first starts the sender, the second finds it running. */
export async function playJanitor({ temporal, taskQueue }: Stage): Promise<readonly WorkflowHandle[]> {
  const rounds: WorkflowHandle[] = [];
  for (const round of ["first", "second"]) {
    const workflowId = `${taskQueue}/janitor-${round}`;
    const handle = await temporal.workflow.start(JANITOR_WORKFLOW, { workflowId, taskQueue, args: [{ taskQueue }] });
    await handle.result();
    rounds.push(handle);
  }
  await temporal.workflow.getHandle(notificationsWorkflowId(taskQueue)).terminate("its story is over");
  return rounds;
}
