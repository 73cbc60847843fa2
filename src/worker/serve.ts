import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Client } from "@temporalio/client";
import { type NativeConnection, Worker, type WorkerOptions, type WorkflowBundleOption } from "@temporalio/worker";
import type { Logger } from "pino";
import { createActivities } from "../activities/create-activities.ts";
import { credentialWarning, requireWorkablePods } from "../activities/pod-request.ts";
import { type Config, loadConfig, takeSecretsFromFiles } from "../config/config.ts";
import { runpodTaskQueue } from "../contract/names.ts";
import { openLogs } from "./database-logs.ts";
import { temporalLogger } from "../logger.ts";
import { createRunpodClient, type RunpodClient } from "../runpod/client.ts";
import { connectDatabase, type Database } from "../supabase/client.ts";
import { noteFilesUrl } from "../supabase/deployment-store.ts";
import { logStore } from "../supabase/log-store.ts";
import { alertStore } from "../supabase/alert-store.ts";
import { notificationStore } from "../supabase/notification-store.ts";
import { metricsStore } from "../supabase/processes/metrics-store.ts";
import { processStore } from "../supabase/processes/process-store.ts";
import { ensureAlertWebhook } from "./alert-webhook.ts";
import { mayBegin } from "./dormant-patches.ts";
import { endInTime } from "./end-of-process.ts";
import { ensureNotifications } from "./janitor-schedule.ts";
import {
  awaitDeploymentId,
  claimTaskQueue,
  type ConflictAlert,
  conflictAlert,
  DeploymentConflict,
} from "./own-deployment.ts";
import { type Health, openHealth } from "./health/health.ts";
import type { Probes } from "./health/pulse.ts";
import { ownGround } from "./own-ground.ts";
import { startProcessBeat } from "./process-beat.ts";
import { runAgain } from "./run-again.ts";
import { awaitMigrations } from "./own-schema.ts";
import { stopSignal } from "./stop-signal.ts";
import { connectToTemporal, ensureSearchAttributes } from "./temporal-connection.ts";
import { openTracing, type Tracing } from "./tracing/tracing.ts";
import { wakePool } from "./wake-pool.ts";
import { bundleWorkflows } from "./workflow-bundle.ts";

const SHUTDOWN_GRACE = "5s";
/**
 * A cached workflow takes about 0.2 MB. A worker workflow sleeps nearly all its life and is quickly replayed, so few
 * need to be cached.
 */
const MAX_CACHED_WORKFLOWS = 120;
/** A workflow whose process has died waits for it this long before another process goes on with it. */
const STICKY_TIMEOUT = "5s";
const WORKFLOW_OPTIONS = {
  patchActivationCallback: mayBegin,
  maxCachedWorkflows: MAX_CACHED_WORKFLOWS,
  stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
} as const;

export interface ServeOptions {
  /** Default: the process's own environment. Secrets in files are put into it. */
  readonly env?: Record<string, string | undefined> | undefined;
  /** Called once tasks are taken. */
  readonly onServing?: (() => Promise<void>) | undefined;
  /** The workflows' code; default: that of the build, else made now from the sources. */
  readonly bundle?: WorkflowBundleOption | undefined;
}

/**
 * The Temporal worker process: serves workflows and activities until SIGTERM or SIGINT.
 * @throws ConfigError, DeploymentConflict, TransportError where no Temporal server answers
 */
export async function serve({ env, onServing, bundle }: ServeOptions = {}): Promise<void> {
  takeSecretsFromFiles(env);
  const config = requireWorkablePods(loadConfig(env));
  const { url, serviceRoleKey } = config.supabase;
  const health = await openHealth(config.health);
  const database = connectDatabase({ url, serviceRoleKey, onSuccess: () => health.seen("database") });
  const { logger, closeLogs } = openLogs(config.log, logStore(database));
  const tracing = await openTracing(config.tracing.otlpEndpoint);
  const stopping = stopSignal();
  endInTime(stopping, logger);
  // Before the first wait, so that a Temporal worker that is made after a signal to stop ends at once.
  await health.installRuntime({ logger: temporalLogger(logger) });
  try {
    const deployment = await awaitDatabase(database, logger, stopping);
    if (deployment !== null) {
      const given = { config, env, onServing, bundle, health, tracing };
      await serveDeployment({ ...given, database, deployment, logger, stopping });
    }
  } finally {
    await tracing?.close();
    await closeLogs();
    await health.close();
  }
}

type Ground = ServeOptions & {
  readonly config: Config;
  readonly health: Health;
  readonly tracing: Tracing | null;
  readonly database: Database;
  readonly deployment: string;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
};

async function serveDeployment(ground: Ground): Promise<void> {
  const { config, env, onServing, bundle, health, tracing, database, deployment, logger, stopping } = ground;
  warnOfCredential(config, logger);
  await noteFilesUrl(database, config.supabase.publicUrl ?? config.supabase.url).catch((error: unknown) =>
    logger.warn({ err: error }, "the database was not told the project's public address: results keep what it knows"),
  );
  const { connection, namespace, address } = await connectToTemporal(env);
  await ensureSearchAttributes(connection, namespace, logger);

  const { taskQueue } = config.temporal;
  const client = new Client({ connection, namespace });
  const conflict = conflictAlert(alertStore(database), taskQueue, logger);
  await holdTaskQueue(client, taskQueue, deployment, conflict);

  const runpod = connectToProvider(config.runpod, () => health.seen("provider"));
  const onCreate = health.countPodCreate;
  const activities = createActivities({ config, deployment, database, runpod, logger, stopping, onCreate });

  const common = {
    connection,
    namespace,
    shutdownGraceTime: SHUTDOWN_GRACE,
    plugins: tracing === null ? [] : [tracing.plugin],
    interceptors: { activity: [ownGround(deployment, (problem) => void conflict.open(problem))] },
  } satisfies Partial<WorkerOptions>;
  const workflows = bundle ?? (await workflowBundle(tracing));
  const create = async (options: WorkerOptions) =>
    await health.polls(options.taskQueue, Worker.create({ ...common, ...options }));
  const main = { ...WORKFLOW_OPTIONS, taskQueue, activities: { ...activities.main }, workflowBundle: workflows };
  const forWorkflows = async () => await create(main);
  const forProvider = await create({
    taskQueue: runpodTaskQueue(taskQueue),
    activities: { ...activities.provider },
    // The server applies this limit to all Temporal workers together.
    maxTaskQueueActivitiesPerSecond: config.provider.maxCallsPerSec,
  });
  logger.info({ taskQueue, namespace, deployment, address }, "serving");
  const wake = async (pool: string) => await wakePool(client, taskQueue, deployment, pool);
  const processBeat = startProcessBeat({ processes: processStore(database), taskQueue, wake, logger });
  health.watch(probesOf(connection, runpod));
  health.show(() => metricsStore(database).read(processBeat.id));
  void ensureAlertWebhook(notificationStore(database), config.notifications, logger);
  void ensureNotifications(client, taskQueue, deployment, logger);
  void onServing?.().catch((error: unknown) => logger.error({ err: error }, "what was to follow the start failed"));
  try {
    await Promise.all([runAgain(forWorkflows, logger, stopping), forProvider.run()]);
  } finally {
    await processBeat.stop();
    await runpod.close();
    await connection.close();
    logger.info("stopped");
  }
}

function warnOfCredential(config: Config, logger: Logger): void {
  const warning = credentialWarning(config);
  if (warning !== null) {
    logger.warn(warning);
  }
}

function probesOf(connection: NativeConnection, runpod: RunpodClient): Probes {
  return {
    temporal: async () => Boolean(await connection.workflowService.getSystemInfo({})),
    provider: async () => (await runpod.listPods()).kind === "complete",
  };
}

function connectToProvider({ apiUrl, apiKey, timeoutMs }: Config["runpod"], onSuccess: () => void): RunpodClient {
  return createRunpodClient({ apiUrl, apiKey, timeoutMs, userAgent: "gpu-pool", onSuccess });
}

/** Waits for the database and its migrations. @returns the deployment's id; null: the process is to stop before that */
async function awaitDatabase(database: Database, logger: Logger, stopping: AbortSignal): Promise<string | null> {
  try {
    const deployment = await awaitDeploymentId(database, logger, stopping);
    await awaitMigrations(database, logger, stopping);
    return deployment;
  } catch (error) {
    if (stopping.aborted) {
      return null;
    }
    throw error;
  }
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

/** The bundle that the build made; without a build, the sources are bundled now. */
async function workflowBundle(tracing: Tracing | null): Promise<WorkflowBundleOption> {
  const name = tracing === null ? "workflow-bundle" : "workflow-bundle-traced";
  const codePath = fileURLToPath(new URL(`../../${name}.js`, import.meta.url));
  return existsSync(codePath) ? { codePath } : await bundleWorkflows(undefined, tracing);
}
