import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import { log, ParentClosePolicy, setCurrentDetails, startChild } from "@temporalio/workflow";
import {
  type JanitorActivities,
  type JanitorInput,
  type JanitorResult,
  notificationsWorkflowId,
  type PoolFinding,
  type WorkersReport,
} from "../contract/upkeep.ts";
import { notifications } from "./notifications.ts";
import { requireInput } from "./require-input.ts";
import { summarised } from "./summarised.ts";
import { receiveSignals } from "./signals.ts";

const activities = summarised<JanitorActivities>(
  {
    startToCloseTimeout: "90s",
    heartbeatTimeout: "30s",
    retry: { initialInterval: "1s", maximumInterval: "30s", maximumAttempts: 2 },
  },
  {
    reconcileWorkers: "compare pods, rows and workflows, and repair",
    bringBackPools: "start pools again that should run and do not",
    repairTasks: "repair tasks that nothing else would move",
    cleanUpLogs: "delete old log lines",
    cleanUpOutbox: "delete old notifications",
    cleanUpTables: "delete old rows of tables that only grow",
    cleanUpFiles: "delete old files of deleted tasks",
  },
);

/** One round of repairs, started by a Schedule or by hand. Run in this order; a repair that fails stops no other. */
export async function janitor(input: JanitorInput): Promise<JanitorResult> {
  requireInput(input, ["taskQueue"]);
  receiveSignals(() => undefined);
  const { dryRun = false } = input;
  const repairs: Record<string, string> = {};
  let workers: WorkersReport | null = null;
  let pools: readonly PoolFinding[] | null = null;
  const attempt = async (name: string, run: () => Promise<string>) => {
    repairs[name] = await run().catch((error: unknown) => {
      log.error(`the janitor's repair failed: ${name}`, { error });
      return `failed: ${reasonOf(error)}`;
    });
  };

  if (!dryRun) {
    await attempt("notifications", () => restartNotifications(input));
  }
  await attempt("workers", async () => {
    workers = await activities.reconcileWorkers({ dryRun });
    return workersInWords(workers);
  });
  await attempt("pools", async () => {
    const { findings, failed } = await activities.bringBackPools({ dryRun });
    pools = findings;
    return poolsInWords(findings, failed);
  });
  await attempt("tasks", async () => listed(await activities.repairTasks({ dryRun })) || "nothing to repair");
  if (!dryRun) {
    await attempt("logs", async () => `${(await activities.cleanUpLogs()).deleted} old lines deleted`);
    await attempt("outbox", async () => `${(await activities.cleanUpOutbox()).deleted} old notifications deleted`);
    await attempt("tables", async () => listed(await activities.cleanUpTables()) || "no old rows");
    await attempt("files", async () => `${(await activities.cleanUpFiles()).deleted} old files deleted`);
  }
  setCurrentDetails(
    Object.entries(repairs)
      .map(([name, outcome]) => `- **${name}**: ${outcome}`)
      .join("\n"),
  );
  return { repairs, workers, pools };
}

function workersInWords({ done, failed, unknown, findings, leftOut }: WorkersReport): string {
  const parts = [
    `${findings.length + leftOut} looked at`,
    ...done,
    ...failed.map((problem) => `failed: ${problem}`),
    ...unknown.map((problem) => `not known: ${problem}`),
  ];
  return parts.join("; ");
}

function poolsInWords(findings: readonly PoolFinding[], failed: readonly string[]): string {
  const acted = findings.filter(({ verdict }) => verdict !== "kept");
  return [
    `${findings.length} looked at`,
    ...acted.map(({ pool, verdict, reason }) => `${pool}: ${verdict.replaceAll("_", " ")} (${reason})`),
    ...failed.map((problem) => `failed: ${problem}`),
  ].join("; ");
}

/** Empty where all counts are 0. */
function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name.replaceAll("_", " ")}`)
    .join(", ");
}

/** The error of an activity is inside the failure that the workflow gets. */
function reasonOf(error: unknown): string {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  return cause instanceof Error ? reasonOf(cause) : message;
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
