import { rm, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Logger } from "pino";
import { orAbort, withGrace } from "./abort.ts";
import { deliver } from "./deliver.ts";
import type { Engine, Generated } from "./engines/engine.ts";
import { Interruption, type Orders, stopRefused } from "./orders.ts";
import { ParamsError, chooseSeed, parseVideoParams, resolveTaskType } from "./params.ts";
import { probeVideo } from "./probe-video.ts";
import { type Progress, createProgress } from "./progress.ts";
import { QueueError, isRefused, isRejected, isTransient } from "./queue-error.ts";
import type { ClaimedTask, Queue } from "./queue.ts";
import { buildResult } from "./result.ts";
import { withRetry } from "./retry.ts";
import type { OutputFile, Uploads } from "./uploads.ts";

export interface TaskDeps {
  readonly queue: Queue;
  readonly uploads: Uploads;
  readonly engine: Engine;
  readonly orders: Orders;
  readonly logger: Logger;
  readonly workerId: string;
  readonly outputDir: string;
  readonly ffmpegPath: string;
}

/** How a task ended for this worker. `unsettled`: the end could not be recorded in the database. */
export type TaskEnd =
  | "completed"
  | "already_completed"
  | "requeued"
  | "failed"
  | "released"
  | "lease_lost"
  | "abandoned"
  | "unsettled";

const LAST_WRITE_MS = 1_500;
const RELEASE_MS = 2_000;
const RENDERED = 0.9;
const PAYLOAD_TOO_LARGE = 413;

/** Works on one claimed task and records how it ended. Never rejects. */
export async function runTask(deps: TaskDeps, task: ClaimedTask): Promise<TaskEnd> {
  const { queue, orders } = deps;
  const logger = deps.logger.child({ task_id: task.taskId, attempt: task.attempt });
  const lease = new AbortController();
  const signal = AbortSignal.any([orders.stopping, lease.signal]);
  const files: string[] = [];
  let end: TaskEnd;
  try {
    logger.info({ task_type: task.taskType }, "task begun");
    end = await work({ ...deps, logger }, task, signal, lease, files);
  } catch (error) {
    end = await settle(error).catch((unsettled: unknown) => {
      if (isRefused(unsettled)) {
        stopRefused(orders, unsettled);
      }
      logger.error({ err: unsettled }, "the end of the task could not be recorded");
      return "unsettled" as const;
    });
  }
  if (end !== "unsettled") {
    await Promise.all(files.map((path) => rm(path, { force: true })));
  }
  logger.info({ end }, "task ended");
  return end;

  async function settle(error: unknown): Promise<TaskEnd> {
    if (signal.aborted) {
      return await breakOff(signal.reason as Interruption);
    }
    if (isRefused(error)) {
      stopRefused(orders, error);
      return "abandoned";
    }
    const message = error instanceof Error ? error.message : String(error);
    const permanent =
      error instanceof ParamsError || (error instanceof QueueError && error.status === PAYLOAD_TOO_LARGE);
    logger.warn({ permanent }, `task failed: ${message}`);
    const fail = (text: string) => queue.fail(task, text, permanent);
    return await withRetry(() => inFullOrShort(fail, message), { signal: withGrace(signal, LAST_WRITE_MS) });
  }

  async function breakOff(reason: Interruption): Promise<TaskEnd> {
    logger.warn(`task broken off: ${reason.message}`);
    if (reason.kind === "lease_lost") {
      return "lease_lost";
    }
    if (reason.kind === "abandon") {
      return "abandoned";
    }
    const release = (text: string) => queue.release(task, text);
    return await withRetry(() => inFullOrShort(release, reason.message), {
      signal: AbortSignal.timeout(RELEASE_MS),
      firstDelayMs: 200,
    });
  }
}

/** The last word about a task is always sent: a lease that it does not end is claimed again by this worker. */
async function inFullOrShort<T>(write: (text: string) => Promise<T>, text: string): Promise<T> {
  try {
    return await write(text);
  } catch (error) {
    if (!isRejected(error)) {
      throw error;
    }
    return await write("the database did not take the reason's text; the worker's log has it");
  }
}

function startProgress(deps: TaskDeps, task: ClaimedTask, lease: AbortController): Progress {
  return createProgress(async (fraction, message) => {
    try {
      const held = await deps.queue.reportProgress(task, fraction, message);
      if (!held) {
        lease.abort(new Interruption("lease_lost", "the lease on the task is lost"));
      }
    } catch (error) {
      if (isRefused(error)) {
        stopRefused(deps.orders, error);
      } else if (!isTransient(error)) {
        deps.logger.warn({ err: error }, "progress could not be reported");
      }
    }
  });
}

async function work(
  deps: TaskDeps,
  task: ClaimedTask,
  signal: AbortSignal,
  lease: AbortController,
  files: string[],
): Promise<TaskEnd> {
  const { queue, uploads, engine } = deps;
  signal.throwIfAborted();
  const claimedAtMs = Date.now();
  const taskType = resolveTaskType(task.taskType);
  const params = parseVideoParams(task.params);
  const seed = chooseSeed(params.seed, task.leaseToken);

  const progress = startProgress(deps, task, lease);
  try {
    progress.stage(0, "rendering");
    const generated = await engine.generate({
      taskType,
      params: { ...params, seed },
      outputDir: deps.outputDir,
      basename: `task_${task.taskId}_a${task.attempt}`,
      signal,
      onProgress: (fraction, message) => progress.move(fraction * RENDERED, message),
    });
    files.push(generated.videoPath, generated.thumbnailPath);
    signal.throwIfAborted();

    progress.stage(RENDERED, "uploading");
    const [facts, video, thumbnail] = await orAbort(
      Promise.all([probeVideo(generated.videoPath, deps.ffmpegPath), ...describeFiles(generated)]),
      signal,
    );
    const delivered = await deliver(uploads, task, video, thumbnail, signal);

    // After the completion, a report of progress would be answered as if the lease were lost.
    progress.close();
    const result = buildResult({
      videoUrl: delivered.video.publicUrl,
      thumbnailUrl: delivered.thumbnail.publicUrl,
      facts,
      fileSizeBytes: video.sizeBytes,
      claimedAtMs,
      nowMs: Date.now(),
      engine: engine.name,
      generated,
      seed,
      attempt: task.attempt,
      workerId: deps.workerId,
    });
    const { storagePath, publicUrl: outputLocation } = delivered.video;
    // On SIGTERM a completion that is under way gets LAST_WRITE_MS to be answered, before the task is released.
    return await withRetry(() => queue.finish(task, { storagePath, outputLocation, result }), {
      signal: withGrace(signal, LAST_WRITE_MS),
    });
  } finally {
    progress.close();
  }
}

function describeFiles({ videoPath, thumbnailPath }: Generated): [Promise<OutputFile>, Promise<OutputFile>] {
  return [describeFile(videoPath, "video/mp4"), describeFile(thumbnailPath, "image/jpeg")];
}

async function describeFile(path: string, contentType: string): Promise<OutputFile> {
  return { path, filename: basename(path), contentType, sizeBytes: (await stat(path)).size };
}
