import { rm } from "node:fs/promises";
import type { Logger } from "pino";
import { withGrace } from "./abort.ts";
import { createDebug, type Debug } from "./debug/debug.ts";
import { asksToKeep, keepFolder, KEEPING_PARAMETERS } from "./debug/kept-files.ts";
import { withDebug } from "./debug/logged-engine.ts";
import { deliverOutcome } from "./deliver-outcome.ts";
import type { Engine } from "./engines/engine.ts";
import type { OpenInputs } from "./inputs/inputs.ts";
import { Interruption, type Orders, stopRefused } from "./orders.ts";
import { describeFile, isVisual } from "./output-files.ts";
import { type Progress, createProgress } from "./progress.ts";
import type { FileStore } from "./queue/file-store.ts";
import { QueueError, isRefused, isRejected, isTransient } from "./queue/queue-error.ts";
import type { Claim, ClaimedTask, Completion, Queue } from "./queue/queue.ts";
import { buildResult } from "./result.ts";
import { withRetry } from "./retry.ts";
import type { Router } from "./router.ts";
import type { Graph, Outcome, Requests, TaskRun } from "./tasks/handler.ts";
import { ParamsError } from "./tasks/params-error.ts";
import { NotReadyError } from "./tasks/not-ready.ts";
import { notHonouredOf, resolveTask } from "./tasks/resolve-task.ts";
import { numberValue } from "./tasks/values.ts";
import { createFfmpeg } from "./video/ffmpeg.ts";
import { openAttemptFolder } from "./work-folders.ts";

export interface TaskDeps {
  readonly queue: Queue;
  readonly fileStore: FileStore;
  readonly router: Router;
  readonly engine: Engine;
  readonly openInputs: OpenInputs;
  readonly orders: Orders;
  readonly logger: Logger;
  readonly workerId: string;
  /** A folder of this run; each attempt gets one below it, whose files stay if the end cannot be recorded. */
  readonly outputDir: string;
  readonly ffmpegPath: string;
  /** Whether the files of every task are kept. */
  readonly keepsFiles?: boolean;
}

/** How a task ended for this worker. `unsettled`: the end could not be recorded in the database. */
export type TaskEnd =
  | "completed"
  | "already_completed"
  | "delegated"
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

type Delegated = Extract<Outcome, { kind: "delegated" }>;

interface Run {
  readonly task: ClaimedTask;
  /** Aborts with an Interruption when the task has to be broken off. */
  readonly signal: AbortSignal;
  readonly lease: AbortController;
  /** The names of its files begin so. */
  readonly basename: string;
  /** A logger with the task's id, for parts with names of their own. */
  readonly unnamed: Logger;
  /** Null: it has not been made. */
  workDir: string | null;
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
  const unnamed = allDeps.logger.child({ task_id: task.taskId, attempt: task.attempt });
  const logger = unnamed.child({ logger: "headless" });
  const deps = { ...allDeps, logger };
  const lease = new AbortController();
  const signal = AbortSignal.any([orders.stopping, lease.signal]);
  const basename = `task_${task.taskId}_a${task.attempt}`;
  const run: Run = { task, signal, lease, basename, unnamed, workDir: null, mayHoldNext: false };
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
  if (result.end !== "unsettled" && run.workDir !== null) {
    await leaveFolder(allDeps, run, run.workDir, logger);
  }
  logger.info({ end: result.end }, "task ended");
  return result;
}

/** Removes an attempt's folder, or keeps it where the task or the worker asks for it. */
async function leaveFolder({ keepsFiles }: TaskDeps, { task }: Run, workDir: string, logger: Logger): Promise<void> {
  if (!keepsFiles && !asksToKeep(task.params)) {
    await rm(workDir, { recursive: true, force: true });
    return;
  }
  try {
    logger.info({ folder: await keepFolder(workDir) }, "the files of the task are kept");
  } catch (error) {
    logger.warn({ err: error, folder: workDir }, "the files of the task could not be moved to where they are kept");
  }
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
  if (error instanceof NotReadyError) {
    logger.info(`task handed back: ${message}`);
    const release = (text: string) => queue.release(task, text);
    return await withRetry(() => inFullOrShort(release, message), { signal: withGrace(signal, LAST_WRITE_MS) });
  }
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
  const { task, signal } = run;
  signal.throwIfAborted();
  const claimedAtMs = Date.now();
  const { type, handle } = deps.router.find(task.taskType);
  const resolved = resolveTask(type, task, deps.engine.grid);

  const progress = startProgress(deps, task, run.lease);
  try {
    progress.stage(0, "rendering");
    const taskRun = await openTaskRun(deps, run, { type, values: resolved.values, progress });
    const outcome = await handle(taskRun);
    signal.throwIfAborted();
    if (outcome.kind === "delegated") {
      progress.close();
      if (resolved.unknown.length > 0) {
        taskRun.logger.warn({ fields: resolved.unknown }, "fields of params that have no effect: no type has them");
      }
      return await delegate(deps, run, outcome);
    }

    progress.stage(RENDERED, "uploading");
    if (type.kind !== "direct" && isVisual(outcome.main)) {
      await taskRun.debug.measure("STITCH_FINAL_ANALYSIS", "the result", outcome.main, outcome.expected);
    }
    const { main, facts } = await deliverOutcome(outcome, taskRun, deps.fileStore);

    // After the completion, a report of progress would be answered as if the lease were lost.
    progress.close();
    const result = buildResult({
      ...facts,
      claimedAtMs,
      nowMs: Date.now(),
      engine: outcome.engine ?? deps.engine.name,
      model: outcome.model,
      seed: numberValue(resolved.values, "seed"),
      attempt: task.attempt,
      workerId: deps.workerId,
      notHonoured: notHonouredOf(resolved, outcome.notHonoured ?? []).filter(
        ({ param }) => !KEEPING_PARAMETERS.includes(param),
      ),
      more: withAnalysis(taskRun.debug, outcome.result),
    });
    return await complete(deps, run, { storagePath: main.storagePath, outputLocation: main.location, result });
  } finally {
    progress.close();
  }
}

interface Resolved extends Pick<TaskRun, "type" | "values"> {
  readonly progress: Progress;
}

async function openTaskRun(deps: TaskDeps, run: Run, { type, values, progress }: Resolved): Promise<TaskRun> {
  const loggerNamed = (name: string) => run.unnamed.child({ logger: name });
  const logger = loggerNamed(type.kind === "orchestrator" ? "orchestrator" : "generation");
  const debug = createDebug(logger, deps.ffmpegPath);
  const { task, signal, basename } = run;
  const workDir = await openAttemptFolder(deps.outputDir, basename);
  run.workDir = workDir;
  const ffmpeg = createFfmpeg(deps.ffmpegPath, signal);
  let reached = 0;
  return {
    task,
    type,
    values,
    workDir,
    basename,
    signal,
    progress: (fraction, message) => progress.move((reached = fraction * RENDERED), message),
    logger,
    debug,
    engine: withDebug(deps.engine, debug, loggerNamed("model")),
    ffmpeg,
    inputs: deps.openInputs({
      workDir,
      signal,
      logger,
      ffmpeg,
      onProgress: (message) => progress.move(reached, message),
    }),
    graph: graphOf(deps.queue, task, signal),
    requests: requestsOf(deps.queue, task, signal),
    store: async (path) => {
      const [stored] = await deps.fileStore.deliver(task, [await describeFile(path, workDir)], signal);
      return stored!.location;
    },
  };
}

function withAnalysis(debug: Debug, more: Readonly<Record<string, unknown>> = {}) {
  const analysis = debug.analysis();
  return analysis === null ? more : { ...more, analysis };
}

function graphOf(queue: Queue, task: ClaimedTask, signal: AbortSignal): Graph {
  return {
    outputOf: (taskId) => withRetry(() => queue.outputOf(task, taskId), { signal }),
    predecessorOutput: () => withRetry(() => queue.predecessorOutput(task), { signal }),
    completedSegments: (runId) => withRetry(() => queue.completedSegments(task, runId), { signal }),
  };
}

function requestsOf(queue: Queue, task: ClaimedTask, ofAttempt: AbortSignal): Requests {
  return {
    keep: (service, request) => withRetry(() => queue.keepRequest(task, service, request), { signal: ofAttempt }),
    kept: (service, signal = ofAttempt) => withRetry(() => queue.keptRequest(task, service), { signal }),
  };
}

async function delegate({ queue }: TaskDeps, { task, signal }: Run, outcome: Delegated): Promise<TaskResult> {
  const { subTasks, resultTaskId } = outcome;
  const patience = { signal: withGrace(signal, LAST_WRITE_MS) };
  return { end: await withRetry(() => queue.delegate(task, subTasks, resultTaskId), patience), claim: null };
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
