import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { findTask, findWorker } from "../../find-by-prefix.ts";

/** A whole id may be of a row that was deleted, but what was written about it may still be there. */
const WHOLE_TASK_ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** The task that this text names: its id, or the beginning of its id. @throws ClientError */
export async function wholeTaskId(context: Context, given: string): Promise<string> {
  return WHOLE_TASK_ID.test(given) ? given : (await findTask(context, given)).id;
}

/** The worker that this text names: its id, the beginning of its id, or the id of one that has no row any more. @throws ClientError */
export async function wholeWorkerId(context: Context, given: string): Promise<string> {
  try {
    return (await findWorker(context, given)).id;
  } catch (error) {
    if (error instanceof ClientError && error.exitCode === EXIT.notFound) {
      return given;
    }
    throw error;
  }
}
