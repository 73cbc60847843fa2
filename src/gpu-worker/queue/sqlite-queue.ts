import { cut } from "../../../supabase/functions/_shared/text.ts";
import { sleep } from "../abort.ts";
import { QueueError } from "./queue-error.ts";
import type { Claim, Completion, FinishOutcome, Lease, Queue, TaskOutput } from "./queue.ts";
import { closeAttempt, isoText, recordAttempt } from "../../task-file/attempts.ts";
import { type Claimant, claimNext } from "../../task-file/claims.ts";
import { type LocalDatabase, LocalDatabaseError } from "../../task-file/local-database.ts";
import { delegateTask, SubTaskError } from "../../task-file/delegate.ts";
import { findTask, type LocalAttempt, type LocalTask, parsed } from "../../task-file/rows.ts";
import { settle } from "../../task-file/settle.ts";
import { beat } from "../../task-file/workers.ts";
import { createLocalRequests } from "./local-requests.ts";

const MAX_MESSAGE_CHARS = 500;
const MAX_ERROR_CHARS = 4_000;
const LOOK_MS = 100;

export interface SqliteQueueOptions extends Claimant {
  readonly database: LocalDatabase;
  readonly now?: () => number;
}

type Write = <T>(operation: string, work: (nowMs: number) => T) => Promise<T>;

/** The task queue in a file, by the rules of the database functions in `sql/`. */
export function createSqliteQueue(options: SqliteQueueOptions): Queue {
  const { database, workerId, now = Date.now } = options;
  let seenVersion = -1;
  const write: Write = (operation, work) => attempt(operation, () => database.write(() => work(now())));

  function claim(resumes: boolean, nowMs: number): Claim {
    seenVersion = database.version();
    const { status, task } = claimNext(database, options, nowMs, resumes);
    return { workerStatus: status, task: task === null ? null : claimedTask(task) };
  }

  return {
    heartbeat: (vram) => write("heartbeat", (nowMs) => (beat(database, workerId, vram, nowMs) ? "active" : "unknown")),
    claim: () => write("claim", (nowMs) => claim(true, nowMs)),
    async untilChanged(ms, signal) {
      const endMs = performance.now() + ms;
      while (!signal.aborted && performance.now() < endMs && versionOf(database) === seenVersion) {
        await sleep(Math.min(LOOK_MS, endMs - performance.now()), signal);
      }
    },
    finishAndClaim: (lease, completion) =>
      write("finish and claim", (nowMs) => {
        if (leased(database, lease) === null && endedAttempt(database, lease) === undefined) {
          return { outcome: "lease_lost", workerStatus: "unknown", task: null };
        }
        const outcome = finish(database, lease, completion, nowMs);
        return { outcome, ...claim(false, nowMs) };
      }),
    ...leaseWrites(database, write),
    ...reads(database),
    ...createLocalRequests(database, write),
  };
}

/** Null: it could not be read, which the next claim reports. */
function versionOf(database: LocalDatabase): number | null {
  try {
    return database.version();
  } catch {
    return null;
  }
}

type LeaseWrites = Pick<Queue, "reportProgress" | "finish" | "delegate" | "fail" | "release">;

function leaseWrites(database: LocalDatabase, write: Write): LeaseWrites {
  return {
    reportProgress: ({ taskId, leaseToken }, progress, message) =>
      write("progress", (nowMs) => {
        const changed = database.run(
          `update tasks set progress = ?, progress_message = ?, progress_at_ms = ?
           where id = ? and lease_token = ? and status = 'In Progress'`,
          progress,
          cut(message, MAX_MESSAGE_CHARS),
          nowMs,
          taskId,
          leaseToken,
        );
        return changed > 0;
      }),
    finish: (lease, completion) => write("finish", (nowMs) => finish(database, lease, completion, nowMs)),
    delegate: (lease, subTasks, resultTaskId) =>
      write("delegate", (nowMs) => {
        const task = leased(database, lease);
        if (task === null) {
          return endedAttempt(database, lease)?.cause === "delegated" ? "delegated" : "lease_lost";
        }
        delegateTask(database, task, subTasks, resultTaskId, nowMs);
        return "delegated";
      }),
    fail: (lease, message, isPermanent) =>
      write("fail", (nowMs) => {
        const task = leased(database, lease);
        if (task === null) {
          return "lease_lost";
        }
        const error = cut(message, MAX_ERROR_CHARS);
        const outcome = closeAttempt(database, task, { cause: "task_error", error, nowMs, isPermanent });
        settle(database, nowMs);
        return outcome;
      }),
    release: (lease, reason) =>
      write("release", (nowMs) => {
        const task = leased(database, lease);
        if (task === null) {
          return "lease_lost";
        }
        closeAttempt(database, task, { cause: "released", error: cut(reason, MAX_ERROR_CHARS), nowMs });
        return "released";
      }),
  };
}

function reads(database: LocalDatabase): Pick<Queue, "outputOf" | "predecessorOutput" | "completedSegments"> {
  return {
    outputOf: (_lease, taskId) => attempt("output of a task", () => outputOf(findTask(database, taskId))),
    predecessorOutput: ({ taskId }) =>
      attempt("predecessor's output", () =>
        outputOf(findTask(database, findTask(database, taskId)?.dependant_on ?? "")),
      ),
    completedSegments: ({ taskId }, runId) =>
      attempt("completed segments", () =>
        database
          .all<{ segment: number; location: string }>(
            `select json_extract(params, '$.segment_index') as segment, output_location as location from tasks
             where task_type = 'travel_segment' and status = 'Complete' and json_valid(params)
               and json_extract(params, '$.orchestrator_run_id') = ?
               and project_id = (select project_id from tasks where id = ?) and output_location is not null
             order by segment`,
            runId,
            taskId,
          )
          .map(({ segment, location }) => ({ segmentIndex: segment, outputLocation: location })),
      ),
  };
}

function outputOf(task: LocalTask | undefined): TaskOutput | null {
  if (task === undefined) {
    return null;
  }
  const { id: taskId, status, output_location: outputLocation, result_data: result } = task;
  return {
    taskId,
    status,
    outputLocation: status === "Complete" ? outputLocation : null,
    resultData: parsed(result),
  };
}

function claimedTask(task: LocalTask) {
  return {
    taskId: task.id,
    leaseToken: task.lease_token ?? "",
    taskType: task.task_type,
    params: parsed(task.params),
    attempt: task.leases,
    projectId: task.project_id,
  };
}

function leased(database: LocalDatabase, { taskId, leaseToken }: Lease): LocalTask | null {
  const task = findTask(database, taskId);
  return task?.lease_token === leaseToken && task.status === "In Progress" ? task : null;
}

function endedAttempt(database: LocalDatabase, { taskId, leaseToken }: Lease): LocalAttempt | undefined {
  return database.get<LocalAttempt>(
    "select * from ended_attempts where task_id = ? and lease_token = ?",
    taskId,
    leaseToken,
  );
}

function finish(database: LocalDatabase, lease: Lease, completion: Completion, nowMs: number): FinishOutcome {
  const task = leased(database, lease);
  if (task === null) {
    return endedAttempt(database, lease)?.cause === "completed" ? "already_completed" : "lease_lost";
  }
  recordAttempt(database, { ...task, progress: 1 }, "completed", null, nowMs);
  database.run(
    `update tasks set lease_token = null, leased_at_ms = null, status = 'Complete', output_location = ?, result_data = ?,
       error_message = null, progress = 1, generation_processed_at = ?, updated_at = ? where id = ?`,
    completion.outputLocation,
    JSON.stringify(completion.result),
    isoText(nowMs),
    isoText(nowMs),
    task.id,
  );
  settle(database, nowMs);
  return "completed";
}

async function attempt<T>(operation: string, work: () => T): Promise<T> {
  try {
    return await Promise.resolve(work());
  } catch (error) {
    if (error instanceof LocalDatabaseError) {
      throw new QueueError(error.isBusy ? "unavailable" : "rejected", operation, 0, error.message, error);
    }
    if (error instanceof SubTaskError) {
      throw new QueueError("rejected", operation, 0, error.message, error);
    }
    throw error;
  }
}
