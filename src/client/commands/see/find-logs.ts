import type { Context } from "../../context.ts";
import { type LogsOptions, showLogs } from "../../show-logs.ts";
import { wholeTaskId } from "../../find-by-prefix.ts";
import { wholeWorkerId } from "./whole-ids.ts";

/** Shows the lines about a task or a worker, named by the beginning of its id, or about everything. @throws ClientError */
export async function findLogs(context: Context, options: LogsOptions): Promise<void> {
  const { task, worker } = options;
  await showLogs(context, {
    ...options,
    ...(task !== undefined && { task: await wholeTaskId(context, task) }),
    ...(worker !== undefined && { worker: await wholeWorkerId(context, worker) }),
  });
}
