import { rmdir } from "node:fs/promises";
import { type Logger, pino } from "pino";
import { escapedJson } from "../../supabase/functions/_shared/text.ts";
import { createPreviewEngine } from "./engines/preview/preview-engine.ts";
import { tryLogFiles } from "./debug/log-files.ts";
import { type FuseSettings, lightFuse } from "./fuse.ts";
import { type Orders, createOrders } from "./orders.ts";
import { createInputs } from "./inputs/inputs.ts";
import { loadOwnTypes } from "./own-types.ts";
import { type Connection, connectQueue } from "./queue/connect-queue.ts";
import { allowedTypes, createRouter, HANDLERS } from "./router.ts";
import type { ReplicateSettings } from "./services/replicate.ts";
import type { TypeHandlers } from "./tasks/handler.ts";
import { SettingsError, type GpuWorkerSettings, readSettings } from "./settings.ts";
import { findFfmpeg } from "./video/ffmpeg.ts";
import { createVramReader } from "./vram.ts";
import { FolderError, openRunFolder } from "./work-folders.ts";
import { runClaimLoop } from "./claim-loop.ts";

const EXIT_BAD_SETTINGS = 78;
/** A terminal obeys more characters than JSON must escape. */
const LINE_HOOKS = { streamWrite: escapedJson };
const STOP_DEADLINE_MS = 4_000;

async function main(): Promise<number> {
  const settings = readSettings();
  const connection = connectQueue(settings);
  const { logSender } = connection;
  const { logLevel: level } = settings;
  // Whoever reads the log may be gone. A write that fails must not end the process before it has given its task back.
  process.stdout.on("error", () => undefined);
  const files = await tryLogFiles(settings.logDir);
  const streams = [process.stdout, logSender?.stream, files.stream].filter((stream) => stream != null);
  const destination = pino.multistream(streams.map((stream) => ({ level, stream })));
  const root = pino({ level, base: { worker_id: settings.workerId }, hooks: LINE_HOOKS }, destination);
  const logger = root.child({ logger: "headless" });
  if (files.problem !== null) {
    logger.warn(files.problem);
  }
  const orders = createOrders((order, why) => logger.info({ order }, why));
  const work = () => runUntilOrdered(settings, { connection, root, logger, orders });
  if (settings.fuse !== null) {
    return await workOnFuse(settings, settings.fuse, { logger, orders }, work);
  }
  if (settings.missingForFuse.length > 0) {
    logger.warn(`this pod cannot end itself: POD_ENDS_AT is set, but not ${settings.missingForFuse.join(" and ")}`);
  }
  return await work();
}

interface Parts {
  readonly connection: Connection;
  /** Without a name: each part of a task's work has its own. */
  readonly root: Logger;
  readonly logger: Logger;
  readonly orders: Orders;
}

/**
 * Runs the work beside the fuse. The process ends when the fuse has burnt, even if the work hangs; and when the work
 * ends first, it waits for a fuse that is burning.
 */
async function workOnFuse(
  { maxLifetimeSec }: GpuWorkerSettings,
  fuseSettings: FuseSettings,
  { logger, orders }: Pick<Parts, "logger" | "orders">,
  work: () => Promise<number>,
): Promise<number> {
  const fuse = lightFuse(fuseSettings, { logger, onEnd: (why) => orders.stop("release", why) });
  const burnt = fuse.burnt.then(() => orders.exitCode());
  if (fuse.isBurning()) {
    return await burnt;
  }

  async function workAndEndPod(): Promise<number> {
    try {
      return await work();
    } finally {
      // Runpod would keep the pod or restart its container, and the pool that should delete it may be gone.
      if (maxLifetimeSec !== null && process.uptime() >= maxLifetimeSec) {
        logger.info("the worker has had its maximum lifetime: it deletes its own pod");
        await fuse.burn();
      }
      if (fuse.isBurning()) {
        await fuse.burnt;
      }
    }
  }
  return await Promise.race([workAndEndPod(), burnt]);
}

async function runUntilOrdered(settings: GpuWorkerSettings, parts: Parts): Promise<number> {
  const { connection, root, logger, orders } = parts;
  const ffmpegPath = await findFfmpeg(settings.ffmpegPath).catch((error: Error) => {
    throw new SettingsError(error.message);
  });
  const own = await loadOwnTypes(settings.taskTypeModules);
  const handlers = { ...HANDLERS, ...(await replicateHandlers(settings.replicate)), ...own.handlers };
  stopOnSignals(orders, logger);
  leaveAfter(settings.maxLifetimeSec, orders);

  const outputDir = await openRunFolder(settings.outputDir, settings.workerId, !settings.isOutputDirGiven).catch(
    (error: Error) => {
      throw error instanceof FolderError ? new SettingsError(error.message) : error;
    },
  );
  logger.info(
    { queue: settings.localFile ?? settings.supabaseUrl, engine: settings.engine, ffmpeg: ffmpegPath },
    "GPU worker started",
  );
  const engine = createPreviewEngine(ffmpegPath);
  const router = createRouter(engine, handlers, own.table.find);
  const types = allowedTypes(router, settings.taskTypes, own.table.find);
  logger.info({ task_types: types }, "what this worker can do");
  const { queue, fileStore, stateTypes, close } = await connection.open(
    types.flatMap((name) => own.table.find(name) ?? []),
    logger,
  );
  const exitCode = await runClaimLoop({
    queue,
    fileStore,
    router,
    ...(stateTypes && { stateTypes }),
    engine,
    openInputs: createInputs(settings.inputs),
    orders,
    logger: root,
    workerId: settings.workerId,
    keepsFiles: settings.keepsFiles,
    outputDir,
    ffmpegPath,
    readVram: createVramReader(),
    pollMs: settings.pollMs,
    heartbeatMs: settings.heartbeatMs,
    sendLogs: connection.logSender?.send ?? (() => Promise.resolve()),
  });
  // The folder stays if it still holds a result that could not be delivered.
  await rmdir(outputDir).catch(() => undefined);
  logger.info({ exit_code: exitCode }, "GPU worker ends");
  await connection.logSender?.close();
  close();
  return exitCode;
}

async function replicateHandlers(settings: ReplicateSettings | null): Promise<TypeHandlers> {
  return settings === null ? {} : (await import("./tasks/magic-edit.ts")).createReplicateHandlers(settings);
}

/** The first signal releases the task and ends the process within `STOP_DEADLINE_MS`; the second ends it at once. */
function stopOnSignals(orders: Orders, logger: Logger): void {
  let signals = 0;
  const onSignal = (name: NodeJS.Signals) => {
    signals += 1;
    if (signals > 1) {
      process.exit(0);
    }
    orders.stop("release", `the process received ${name}`);
    setTimeout(() => {
      logger.warn("the worker could not finish its last writes in time");
      process.exit(orders.exitCode());
    }, STOP_DEADLINE_MS).unref();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", onSignal);
}

/** Ends the worker as a drain does: it finishes its task first. Only the fuse ends it in mid-task. */
function leaveAfter(maxLifetimeSec: number | null, orders: Orders): void {
  if (maxLifetimeSec === null) {
    return;
  }
  const leave = () => orders.leave(`the maximum lifetime of ${maxLifetimeSec} s is reached`);
  setTimeout(leave, Math.max(0, maxLifetimeSec - process.uptime()) * 1_000).unref();
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    pino({ hooks: LINE_HOOKS }).fatal({ err: error }, error instanceof Error ? error.message : "the GPU worker failed");
    process.exit(error instanceof SettingsError ? EXIT_BAD_SETTINGS : 1);
  },
);
