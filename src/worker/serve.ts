import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Client } from "@temporalio/client";
import { loadClientConnectConfig } from "@temporalio/envconfig";
import {
  type GrpcCompressionConfig,
  NativeConnection,
  Worker,
  type WorkerOptions,
  type WorkflowBundleOption,
} from "@temporalio/worker";
import type { Logger } from "pino";
import { createActivities } from "../activities/create-activities.ts";
import { credentialWarning, requireWorkablePods } from "../activities/pod-request.ts";
import { type Config, loadConfig } from "../config/config.ts";
import { runpodTaskQueue } from "../contract/names.ts";
import { SEARCH_ATTRIBUTES } from "../contract/search-attributes.ts";
import { openLogs } from "./database-logs.ts";
import { temporalLogger } from "../logger.ts";
import { createRunpodClient, type RunpodClient } from "../runpod/client.ts";
import { connectDatabase } from "../supabase/client.ts";
import { logStore } from "../supabase/log-store.ts";
import { alertStore } from "../supabase/alert-store.ts";
import { readDeploymentId } from "../supabase/deployment-store.ts";
import { notificationStore } from "../supabase/notification-store.ts";
import { processStore } from "../supabase/processes/process-store.ts";
import { ensureAlertWebhook } from "./alert-webhook.ts";
import { ensureNotifications } from "./janitor-schedule.ts";
import {
  awaitDeploymentId,
  claimTaskQueue,
  type ConflictAlert,
  conflictAlert,
  DeploymentConflict,
} from "./own-deployment.ts";
import { openHealth } from "./health/health.ts";
import { ownGround } from "./own-ground.ts";
import { startProcessBeat } from "./process-beat.ts";
import { runAgain } from "./run-again.ts";
import { wakePool } from "./wake-pool.ts";
import { bundleWorkflows } from "./workflow-bundle.ts";

const SHUTDOWN_GRACE = "5s";
/**
 * A cached workflow takes about 0.2 MB. A worker workflow sleeps nearly all its life and is quickly replayed, so few
 * need to be cached.
 */
const MAX_CACHED_WORKFLOWS = 120;
/** Gzip, the default, holds about 40 MB of buffers for messages of a few kB. */
const UNCOMPRESSED: GrpcCompressionConfig = { codec: "none" };
/** Value of the server's enum IndexedValueType. */
const INDEXED_VALUE_TYPE_KEYWORD = 2;

type Environment = Readonly<Record<string, string | undefined>>;

export interface ServeOptions {
  /** Default: the process's own environment. */
  readonly env?: Environment | undefined;
  /** Called once tasks are taken. */
  readonly onServing?: (() => Promise<void>) | undefined;
  /** The workflows' code; default: that of the build, else made now from the sources. */
  readonly bundle?: WorkflowBundleOption;
}

/**
 * The Temporal worker process: serves workflows and activities until SIGTERM or SIGINT.
 * @throws ConfigError, DeploymentConflict, TransportError where no Temporal server answers
 */
export async function serve({ env, onServing, bundle }: ServeOptions = {}): Promise<void> {
  const config = requireWorkablePods(loadConfig(env));
  const { url, serviceRoleKey } = config.supabase;
  const health = await openHealth(config.health);
  const database = connectDatabase({ url, serviceRoleKey, onSuccess: () => health.seen("database") });
  const { logger, closeLogs } = openLogs(config.log, logStore(database));
  const deployment = await awaitDeploymentId(database, logger);
  await health.installRuntime({ logger: temporalLogger(logger) });
  warnOfCredential(config, logger);

  const { connection, namespace, address } = await connectToTemporal(env);
  await ensureSearchAttributes(connection, namespace, logger);

  const { taskQueue } = config.temporal;
  const client = new Client({ connection, namespace });
  const conflict = conflictAlert(alertStore(database), taskQueue, logger);
  await holdTaskQueue(client, taskQueue, deployment, conflict);

  const runpod = connectToProvider(config.runpod, () => health.seen("provider"));
  const activities = createActivities({ config, deployment, database, runpod, logger });

  const common = {
    connection,
    namespace,
    shutdownGraceTime: SHUTDOWN_GRACE,
    interceptors: { activity: [ownGround(deployment, (problem) => void conflict.open(problem))] },
  } satisfies Partial<WorkerOptions>;
  const workflows = bundle ?? (await workflowBundle());
  const create = async (options: WorkerOptions) =>
    health.polls(options.taskQueue, await Worker.create({ ...common, ...options }));
  const main = { taskQueue, activities: { ...activities.main }, maxCachedWorkflows: MAX_CACHED_WORKFLOWS };
  const forWorkflows = async () => await create({ ...main, workflowBundle: workflows });
  const forProvider = await create({
    taskQueue: runpodTaskQueue(taskQueue),
    activities: { ...activities.provider },
    // The server applies this limit to all Temporal workers together.
    maxTaskQueueActivitiesPerSecond: config.provider.maxCallsPerSec,
  });
  health.watch({
    temporal: async () => Boolean(await connection.workflowService.getSystemInfo({})),
    database: async () => (await readDeploymentId(database)) === deployment,
    provider: async () => (await runpod.listPods()).kind === "complete",
  });
  logger.info({ taskQueue, namespace, deployment, address }, "serving");
  const wake = async (pool: string) => await wakePool(client, taskQueue, deployment, pool);
  const processBeat = startProcessBeat({ processes: processStore(database), taskQueue, wake, logger });
  void ensureAlertWebhook(notificationStore(database), config.notifications, logger);
  void ensureNotifications(client, taskQueue, deployment, logger);
  void onServing?.().catch((error: unknown) => logger.error({ err: error }, "what was to follow the start failed"));
  try {
    await Promise.all([runAgain(forWorkflows, logger), forProvider.run()]);
  } finally {
    await processBeat.stop();
    await runpod.close();
    await connection.close();
    logger.info("stopped");
    await closeLogs();
    await health.close();
  }
}

function warnOfCredential(config: Config, logger: Logger): void {
  const warning = credentialWarning(config);
  if (warning !== null) {
    logger.warn(warning);
  }
}

function connectToProvider({ apiUrl, apiKey, timeoutMs }: Config["runpod"], onSuccess: () => void): RunpodClient {
  return createRunpodClient({ apiUrl, apiKey, timeoutMs, userAgent: "gpu-pool", onSuccess });
}

async function connectToTemporal(env: Environment | undefined) {
  // An empty variable counts as unset.
  const set = Object.entries(env ?? {}).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const overrides = env && { overrideEnvVars: Object.fromEntries(set) };
  const { connectionOptions, namespace = "default" } = loadClientConnectConfig(overrides);
  const connection = await NativeConnection.connect({ ...connectionOptions, grpcCompression: UNCOMPRESSED });
  return { connection, namespace, address: connectionOptions.address };
}

/** @throws DeploymentConflict when another deployment has the task queue; then the alert says so to this one's operators */
async function holdTaskQueue(
  client: Client,
  taskQueue: string,
  deployment: string,
  conflict: ConflictAlert,
): Promise<void> {
  try {
    await claimTaskQueue(client, taskQueue, deployment);
    await conflict.close();
  } catch (error) {
    if (error instanceof DeploymentConflict) {
      await conflict.open(error.message);
    }
    throw error;
  }
}

/** Without these search attributes a namespace refuses our workflows. On Temporal Cloud they have to be made by hand. */
async function ensureSearchAttributes(connection: NativeConnection, namespace: string, logger: Logger): Promise<void> {
  const names = SEARCH_ATTRIBUTES.map(({ name }) => name);
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = names.filter((name) => customAttributes[name] === undefined);
    if (missing.length > 0) {
      const searchAttributes = Object.fromEntries(missing.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD]));
      await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
      logger.info({ namespace, added: missing }, "search attributes registered");
    }
  } catch (error) {
    logger.warn(
      { namespace, err: error },
      `search attributes could not be checked; if workflows do not start, add ${names.join(", ")} (Keyword) ` +
        "to the namespace",
    );
  }
}

/** The bundle that the build made; without a build, the sources are bundled now. */
async function workflowBundle(): Promise<WorkflowBundleOption> {
  const codePath = fileURLToPath(new URL("../../workflow-bundle.js", import.meta.url));
  return existsSync(codePath) ? { codePath } : await bundleWorkflows();
}
