import { setTimeout as sleep } from "node:timers/promises";
import type { LogLevel, LogSource } from "../contract/log-levels.ts";
import type { Context } from "./context.ts";
import type { Tail } from "../supabase/history/tail.ts";
import { createLogReader, type LogRow } from "../supabase/log-reader.ts";
import { describeError } from "./describe-error.ts";
import { renderLogRow } from "./render/log-rows.ts";

const POLL_MS = 1_000;
export interface LogsOptions {
  readonly worker?: string;
  readonly task?: string;
  readonly level?: LogLevel;
  readonly source?: LogSource;
  readonly since?: number;
  readonly limit: number;
  readonly follow?: boolean;
  readonly json?: boolean;
}

export async function showLogs(context: Context, options: LogsOptions): Promise<void> {
  const { since, limit, follow, json, ...filter } = options;
  const oldest = since === undefined ? {} : { since: new Date(Date.now() - since * 1000).toISOString() };
  const reader = createLogReader(await context.connections.database(), { ...filter, ...oldest });
  const show = (rows: readonly LogRow[]) => rows.forEach((row) => printLine(context, row, json === true));
  const rows = await reader.latest(limit);
  show(rows);
  if (follow) {
    await followUntilStopped(context, reader, show);
  } else if (rows.length === 0) {
    context.output.note("no log lines match; the Temporal worker's own are kept unless ENABLE_DB_LOGGING=false");
    if (options.level === "ERROR" || options.level === "CRITICAL") {
      context.output.note("a failed task is logged as a warning: see gpu-pool tasks --status failed");
    }
  }
}

/** @param alongside runs beside the reading until its signal aborts. */
export async function followUntilStopped<Row>(
  { output, env }: Context,
  reader: Pick<Tail<Row>, "next">,
  show: (rows: readonly Row[]) => void,
  alongside?: (stopping: AbortSignal) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const beside = alongside?.(stopping.signal);
  let problem: string | null = null;
  while (!stopping.signal.aborted) {
    try {
      show(await reader.next());
      problem = null;
    } catch (error) {
      // An outage is reported once; lines that are logged during it are read when it is over.
      const { text } = describeError(error, env);
      if (text !== problem) {
        output.note(text.split("\n"));
      }
      problem = text;
    }
    await sleep(POLL_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
  await beside;
  process.off("SIGINT", stop).off("SIGTERM", stop);
}

export function printLine({ output }: Context, row: Parameters<typeof renderLogRow>[0], json: boolean): void {
  if (json) {
    output.printJson(row);
  } else {
    output.print(renderLogRow(row, output.style));
  }
}
