import { runpodTaskQueue } from "../../contract/names.ts";
import { deploymentOf } from "../../contract/deployment.ts";
import { SEARCH_ATTRIBUTES, searchAttributeCommand } from "../../contract/search-attributes.ts";
import { janitorScheduleId } from "../../contract/upkeep.ts";
import type { Temporal } from "../temporal-connection.ts";
import { counted } from "../render/rows.ts";
import { failed, type Finding, ok, reasonOf, skipped, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const CALL_TIMEOUT_MS = 10_000;
const DAY_SEC = 86_400;
/** Value of the server's enum TaskQueueType. */
const TASK_QUEUE_TYPES = { workflow: 1, activity: 2 } as const;
const SETUP = "gpu-pool temporal setup";

/** Temporal: the namespace, and who serves and holds the task queue. */
export async function checkTemporal(subject: Subject): Promise<Finding[]> {
  let temporal: Temporal;
  try {
    temporal = await subject.context.connections.temporal();
  } catch (error) {
    const remedy = "Check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and TEMPORAL_API_KEY, and that the server runs.";
    return [failed("temporal", reasonOf(error), remedy)];
  }
  const namespace = await checkNamespace(temporal);
  if (namespace.state === "failed") {
    return [namespace];
  }
  return [
    namespace,
    await checkSearchAttributes(temporal),
    await checkTaskQueue(temporal, subject.config.temporal.taskQueue),
    await checkDeployment(subject, temporal),
  ];
}

async function checkNamespace({ client, namespace, within }: Temporal): Promise<Finding> {
  try {
    const { config } = await within(CALL_TIMEOUT_MS, () => client.workflowService.describeNamespace({ namespace }));
    const retentionSec = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0);
    const kept =
      retentionSec >= DAY_SEC
        ? counted(Math.round(retentionSec / DAY_SEC), "day", "days")
        : `${retentionSec / 3600} hours`;
    return retentionSec === 0 || retentionSec >= DAY_SEC
      ? ok("temporal", `namespace ${namespace}${retentionSec === 0 ? "" : `, ended workflows are kept for ${kept}`}`)
      : warning("temporal", `namespace ${namespace} keeps ended workflows for ${kept} only`, `${SETUP} --retention 7d`);
  } catch (error) {
    const reason = grpcReason(error);
    return /not found/i.test(reason)
      ? failed("temporal", `there is no namespace ${namespace}`, `${SETUP}; on Temporal Cloud make it in its console`)
      : failed("temporal", `namespace ${namespace}: ${reason}`, "Check TEMPORAL_NAMESPACE and TEMPORAL_API_KEY.");
  }
}

async function checkSearchAttributes({ client, namespace, within }: Temporal): Promise<Finding> {
  const check = "search attributes";
  const names = SEARCH_ATTRIBUTES.map(({ name }) => name);
  try {
    const { customAttributes } = await within(CALL_TIMEOUT_MS, () =>
      client.connection.operatorService.listSearchAttributes({ namespace }),
    );
    const missing = names.filter((name) => customAttributes?.[name] === undefined);
    return missing.length === 0
      ? ok(check, names.join(", "))
      : failed(
          check,
          `namespace ${namespace} lacks ${missing.join(", ")}`,
          `${SETUP}; on Temporal Cloud: ${searchAttributeCommand(namespace, missing)}`,
        );
  } catch (error) {
    // Temporal Cloud may not offer this call.
    return warning(
      check,
      `could not be read: ${grpcReason(error)}`,
      `See that the namespace has ${names.join(", ")} (Keyword). On Temporal Cloud: ${searchAttributeCommand(namespace, names)}`,
    );
  }
}

async function checkTaskQueue({ client, namespace, within }: Temporal, taskQueue: string): Promise<Finding> {
  const wanted = [
    { name: taskQueue, type: "workflow" },
    { name: taskQueue, type: "activity" },
    { name: runpodTaskQueue(taskQueue), type: "activity" },
  ] as const;
  try {
    const polled = await Promise.all(
      wanted.map(async ({ name, type }) => {
        const { pollers } = await within(CALL_TIMEOUT_MS, () =>
          client.workflowService.describeTaskQueue({
            namespace,
            taskQueue: { name },
            taskQueueType: TASK_QUEUE_TYPES[type],
          }),
        );
        return { name, type, count: pollers?.length ?? 0 };
      }),
    );
    const idle = polled.filter(({ count }) => count === 0);
    return idle.length === 0
      ? ok(
          "task queue",
          `${taskQueue}, served by ${counted(polled[0]?.count ?? 0, "Temporal worker", "Temporal workers")}`,
        )
      : warning(
          "task queue",
          `no Temporal worker serves ${idle.map(({ name, type }) => `${name} (${type})`).join(", ")}`,
          "Start one: gpu-pool run",
        );
  } catch (error) {
    return warning("task queue", grpcReason(error), "Try again.");
  }
}

/** Another database's deployment on this task queue refuses our Temporal workers. */
async function checkDeployment({ config, context }: Subject, { client, within }: Temporal): Promise<Finding> {
  const { taskQueue } = config.temporal;
  const own = await context.connections.deployment();
  if (own === null) {
    return skipped("deployment", "the database does not say which deployment it is");
  }
  try {
    const { action } = await within(CALL_TIMEOUT_MS, () =>
      client.schedule.getHandle(janitorScheduleId(taskQueue)).describe(),
    );
    const holder = deploymentOf(action.memo);
    return holder === null || holder === own
      ? ok("deployment", own)
      : failed(
          "deployment",
          `task queue ${taskQueue} belongs to deployment ${holder}, and the database is ${own}`,
          `Two deployments: set TEMPORAL_TASK_QUEUE and GPU_POOL apart. A database made anew: gpu-pool db deployment --set ${holder}`,
        );
  } catch (error) {
    return error instanceof Error && error.name === "ScheduleNotFoundError"
      ? ok("deployment", `${own}; nobody holds task queue ${taskQueue} yet`)
      : warning("deployment", grpcReason(error), "Try again.");
  }
}

/** What the server said, without gRPC's number before it. */
export function grpcReason(error: unknown): string {
  const { cause } = error instanceof Error ? error : {};
  const inner = cause ?? error;
  const details = (inner as { details?: unknown } | undefined)?.details;
  return typeof details === "string" && details !== "" ? details : reasonOf(inner);
}
