import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { findTask, findWorker } from "../../find-by-prefix.ts";
import { type LogsOptions, showLogs } from "../../show-logs.ts";

/** A whole id may be of a row that was deleted, but the lines about it may still be there. */
const WHOLE_TASK_ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Shows the lines about a task or a worker, named by the beginning of its id, or about everything. @throws ClientError */
export async function findLogs(context: Context, options: LogsOptions): Promise<void> {
  const { task, worker } = options;
  await showLogs(context, {
    ...options,
    ...(task !== undefined && { task: WHOLE_TASK_ID.test(task) ? task : (await findTask(context, task)).id }),
    ...(worker !== undefined && { worker: await workerId(context, worker) }),
  });
}

async function workerId(context: Context, given: string): Promise<string> {
  try {
    return (await findWorker(context, given)).id;
  } catch (error) {
    if (error instanceof ClientError && error.exitCode === EXIT.notFound) {
      return given;
    }
    throw error;
  }
}
