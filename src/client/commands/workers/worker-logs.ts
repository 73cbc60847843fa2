import type { Context } from "../../context.ts";
import { findWorker } from "../../find-by-prefix.ts";
import { type LogsOptions, showLogs } from "../../show-logs.ts";

export type WorkerLogsOptions = Pick<LogsOptions, "limit" | "follow" | "json">;

/** Shows the lines of a worker and those of the Temporal worker about it. @throws ClientError when there is none, or more than one */
export async function showWorkerLogs(context: Context, given: string, options: WorkerLogsOptions): Promise<void> {
  const { id } = await findWorker(context, given);
  await showLogs(context, { ...options, worker: id });
}
