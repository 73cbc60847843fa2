import { setTimeout as sleep } from "node:timers/promises";
import type { LogLevel, LogSource } from "../../../contract/log-levels.ts";
import type { Context } from "../../context.ts";
import { createLogReader, type LogReader, type LogRow } from "../../../supabase/log-reader.ts";
import { describeError } from "../../describe-error.ts";
import { plain, type Style } from "../../render/output.ts";

const POLL_MS = 1_000;
const COLOURS: Readonly<Record<string, Parameters<Style>[0]>> = {
  INFO: "cyan",
  WARNING: "yellow",
  ERROR: "red",
  CRITICAL: ["red", "bold"],
};

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
  const show = (rows: readonly LogRow[]) => rows.forEach((row) => print(context, row, json === true));
  const rows = await reader.latest(limit);
  show(rows);
  if (follow) {
    await followUntilStopped(context, reader, show);
  } else if (rows.length === 0) {
    context.output.note("no log lines match; the Temporal worker's own are kept unless ENABLE_DB_LOGGING=false");
  }
}

async function followUntilStopped(
  { output, env }: Context,
  reader: LogReader,
  show: (rows: readonly LogRow[]) => void,
): Promise<void> {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  let problem: string | null = null;
  while (!stopping.signal.aborted) {
    try {
      show(await reader.next());
      problem = null;
    } catch (error) {
      // An outage is reported once; lines that are logged during it are read when it is over.
      const { text } = describeError(error, env);
      if (text !== problem) {
        output.note(text);
      }
      problem = text;
    }
    await sleep(POLL_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
  process.off("SIGINT", stop).off("SIGTERM", stop);
}

function print({ output }: Context, row: LogRow, json: boolean): void {
  if (json) {
    output.printJson(row);
  } else {
    output.print(renderLogRow(row, output.style));
  }
}

/** One line: time (UTC), level, source, message, fields. */
export function renderLogRow(row: LogRow, style: Style): string {
  const { timestamp, log_level: level, task_id: task, worker_id: worker, metadata } = row;
  const { err, pid: _pid, ...fields } = metadata;
  const cause = typeof err === "object" && err !== null && "message" in err ? String(err.message) : null;
  const about = {
    ...(worker !== null && row.source_type !== "worker" && { worker }),
    ...(task !== null && { task }),
    ...fields,
  };
  const details = Object.entries(about).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return [
    style("dim", new Date(timestamp).toISOString().slice(5, 19).replace("T", " ")),
    style(COLOURS[level] ?? "dim", level.padEnd(8)),
    style("bold", plain(row.source_id ?? row.source_type)),
    plain(cause === null ? row.message : `${row.message}: ${cause}`),
    ...(details.length === 0 ? [] : [style("dim", plain(details.join(" ")))]),
  ].join(" ");
}
