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
import type { Claim, ClaimedTask, Completion, Queue } from "./queue.ts";
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

/** What a task left behind for this worker. */
export interface TaskResult {
  readonly end: TaskEnd;
  /** What the database answered to the claim that came with the completion; null: nothing is known to be claimed. */
  readonly claim: Claim | null;
}

interface Run {
  readonly task: ClaimedTask;
  /** Aborts with an Interruption when the task has to be broken off. */
  readonly signal: AbortSignal;
  readonly lease: AbortController;
  readonly files: string[];
  /** Whether a call was sent that may have claimed the next task. */
  mayHoldNext: boolean;
}

const LAST_WRITE_MS = 1_500;
const RELEASE_MS = 2_000;
const RENDERED = 0.9;
const PAYLOAD_TOO_LARGE = 413;

/** Works on one claimed task, records how it ended, and claims the next one if it is completed. Never rejects. */
export async function runTask(allDeps: TaskDeps, task: ClaimedTask): Promise<TaskResult> {
  const { orders } = allDeps;
  const deps = { ...allDeps, logger: allDeps.logger.child({ task_id: task.taskId, attempt: task.attempt }) };
  const { logger } = deps;
  const lease = new AbortController();
  const signal = AbortSignal.any([orders.stopping, lease.signal]);
  const run: Run = { task, signal, lease, files: [], mayHoldNext: false };
  let result: TaskResult;
  try {
    logger.info({ task_type: task.taskType }, "task begun");
    result = await work(deps, run);
  } catch (error) {
    const end = await settle(deps, run, error).catch((unsettled: unknown) => {
      if (isRefused(unsettled)) {
        stopRefused(orders, unsettled);
      }
      logger.error({ err: unsettled }, "the end of the task could not be recorded");
      return "unsettled" as const;
    });
    result = { end, claim: run.mayHoldNext && end !== "abandoned" ? await findNext(deps) : null };
  }
  if (result.end !== "unsettled") {
    await Promise.all(run.files.map((path) => rm(path, { force: true })));
  }
  logger.info({ end: result.end }, "task ended");
  return result;
}

async function settle({ queue, orders, logger }: TaskDeps, { task, signal }: Run, error: unknown): Promise<TaskEnd> {
  if (signal.aborted) {
    return await breakOff(queue, logger, task, signal.reason as Interruption);
  }
  if (isRefused(error)) {
    stopRefused(orders, error);
    return "abandoned";
  }
  const message = error instanceof Error ? error.message : String(error);
  const permanent = error instanceof ParamsError || (error instanceof QueueError && error.status === PAYLOAD_TOO_LARGE);
  logger.warn({ permanent }, `task failed: ${message}`);
  const fail = (text: string) => queue.fail(task, text, permanent);
  return await withRetry(() => inFullOrShort(fail, message), { signal: withGrace(signal, LAST_WRITE_MS) });
}

async function breakOff(queue: Queue, logger: Logger, task: ClaimedTask, reason: Interruption): Promise<TaskEnd> {
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

/**
 * A completion whose answer was lost may have claimed the next task. A worker that goes on learns of it by its next
 * claim; one that leaves asks here, so that it can give that task back instead of keeping it without working on it.
 */
async function findNext({ queue, orders, logger }: TaskDeps): Promise<Claim | null> {
  if (!orders.leaving.aborted) {
    return null;
  }
  try {
    return await withRetry(() => queue.claim(), { signal: withGrace(orders.stopping, RELEASE_MS), firstDelayMs: 200 });
  } catch (error) {
    logger.warn({ err: error }, "whether the lost answer named a next task is not known");
    return null;
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

async function work(deps: TaskDeps, run: Run): Promise<TaskResult> {
  const { uploads, engine } = deps;
  const { task, signal, lease, files } = run;
  signal.throwIfAborted();
  const claimedAtMs = Date.now();
  const type = resolveTaskType(task.taskType);
  const params = parseVideoParams(type, task.params);
  const seed = chooseSeed(params.seed, task.leaseToken);

  const progress = startProgress(deps, task, lease);
  try {
    progress.stage(0, "rendering");
    const generated = await engine.generate({
      taskType: type.name,
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
    return await complete(deps, run, { storagePath, outputLocation, result });
  } finally {
    progress.close();
  }
}

/**
 * Records the completion and, unless the worker has been ordered to leave, claims the next task in the same call. A call
 * whose answer is lost is sent again unchanged, even if an order to leave has come since: what it claimed is only known by its answer.
 */
async function complete(deps: TaskDeps, run: Run, completion: Completion): Promise<TaskResult> {
  const { queue, orders } = deps;
  const { task, signal } = run;
  // On SIGTERM a completion that is under way gets LAST_WRITE_MS to be answered, before the task is released.
  const patience = { signal: withGrace(signal, LAST_WRITE_MS) };
  if (orders.leaving.aborted) {
    return { end: await withRetry(() => queue.finish(task, completion), patience), claim: null };
  }
  run.mayHoldNext = true;
  const { outcome, ...claim } = await withRetry(() => queue.finishAndClaim(task, completion), patience);
  // The row of a deleted task names no worker, so the database could not claim for it. An earlier call, whose answer was lost, may have.
  const nothingClaimed = outcome === "lease_lost" && claim.task === null;
  return { end: outcome, claim: nothingClaimed ? await findNext(deps) : claim };
}

function describeFiles({ videoPath, thumbnailPath }: Generated): [Promise<OutputFile>, Promise<OutputFile>] {
  return [describeFile(videoPath, "video/mp4"), describeFile(thumbnailPath, "image/jpeg")];
}

async function describeFile(path: string, contentType: string): Promise<OutputFile> {
  return { path, filename: basename(path), contentType, sizeBytes: (await stat(path)).size };
}
