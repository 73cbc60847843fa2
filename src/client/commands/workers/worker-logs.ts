import { createLogReader } from "../../../supabase/log-reader.ts";
import type { Context } from "../../context.ts";
import { findWorker } from "../../find-by-prefix.ts";
import { followUntilStopped, type LogsOptions, printLine } from "../../show-logs.ts";
import { asRow, followPodLines, keyOf, mergedLines, readPodLines, type ShownLine } from "./pod-lines.ts";

const REMEMBERED = 5_000;

export type WorkerLogsOptions = Pick<LogsOptions, "limit" | "follow" | "json">;

/**
 * Shows what a worker's pod wrote, what the worker sent to the database, and what the Temporal worker wrote about it, in one
 * order of time.
 * @throws ClientError when there is no such worker, or more than one
 */
export async function showWorkerLogs(context: Context, given: string, options: WorkerLogsOptions): Promise<void> {
  const { limit, follow, json = false } = options;
  const { id, pod_id: pod } = await findWorker(context, given);
  const reader = createLogReader(await context.connections.database(), { worker: id });
  const rows = await reader.latest(limit);
  const own = pod === null ? { lines: [], problem: null } : await readPodLines(context, pod, limit);
  if (own.problem !== null) {
    context.output.note(`gpu-pool: ${own.problem}`);
  }
  const lines = pod === null ? rows : mergedLines(rows, own.lines, pod);
  lines.slice(-limit).forEach((line) => printLine(context, line, json));
  if (!follow) {
    if (lines.length === 0) {
      context.output.note(`no log lines of worker ${id}`);
    }
    return;
  }
  const after = own.lines.at(-1)?.id ?? null;
  const isNew = onceOnly();
  const show = (line: ShownLine) => isNew(line) && printLine(context, line, json);
  await followUntilStopped(
    context,
    reader,
    (more) => more.forEach(show),
    async (stopping) => {
      if (pod === null || own.problem !== null) {
        return;
      }
      const ended = await followPodLines(context, pod, after, stopping, (line) =>
        show(asRow(line, pod, line.at ?? new Date().toISOString())),
      );
      if (ended !== null) {
        context.output.note(`gpu-pool: ${ended}`);
      }
    },
  );
}

/** Tells whether a line was not shown yet: our own GPU worker sends its lines to the database too. */
function onceOnly(): (line: ShownLine) => boolean {
  const shown = new Set<string>();
  return (line) => {
    const key = keyOf(line);
    const isNew = !shown.has(key);
    if (shown.size >= REMEMBERED) {
      shown.clear();
    }
    shown.add(key);
    return isNew;
  };
}
