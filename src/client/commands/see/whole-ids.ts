import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { findWorker } from "../../find-by-prefix.ts";

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
