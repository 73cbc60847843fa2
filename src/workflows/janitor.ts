import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import { log, ParentClosePolicy, proxyActivities, setCurrentDetails, startChild } from "@temporalio/workflow";
import { type JanitorActivities, type JanitorInput, notificationsWorkflowId } from "../contract/upkeep.ts";
import { notifications } from "./notifications.ts";

const { cleanUpLogs, cleanUpOutbox } = proxyActivities<JanitorActivities>({
  startToCloseTimeout: "2m",
  heartbeatTimeout: "30s",
  retry: { initialInterval: "1s", maximumInterval: "30s", maximumAttempts: 3 },
});

/** Run in this order. A repair that fails stops no other. */
const REPAIRS: readonly { readonly name: string; readonly run: (input: JanitorInput) => Promise<string> }[] = [
  { name: "notifications", run: restartNotifications },
  { name: "logs", run: async () => `${(await cleanUpLogs()).deleted} old lines deleted` },
  { name: "outbox", run: async () => `${(await cleanUpOutbox()).deleted} old notifications deleted` },
];

/** One round of repairs, started by a Schedule. @returns what each repair did, or why it could not. */
export async function janitor(input: JanitorInput): Promise<Record<string, string>> {
  const done: Record<string, string> = {};
  for (const { name, run } of REPAIRS) {
    done[name] = await run(input).catch((error: unknown) => {
      log.error(`the janitor's repair failed: ${name}`, { error });
      return `failed: ${error instanceof Error ? error.message : String(error)}`;
    });
  }
  setCurrentDetails(
    Object.entries(done)
      .map(([name, outcome]) => `- **${name}**: ${outcome}`)
      .join("\n"),
  );
  return done;
}

/** Every Temporal worker starts it once. This call starts it again after a termination or a failed start. */
async function restartNotifications({ taskQueue }: JanitorInput): Promise<string> {
  try {
    await startChild(notifications, {
      workflowId: notificationsWorkflowId(taskQueue),
      args: [{}],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: "delivery of the outbox",
    });
    return "started again";
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      return "running";
    }
    throw error;
  }
}
