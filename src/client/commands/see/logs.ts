import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { addExamples, type Context } from "../../context.ts";
import { parseDurationSec } from "../../render/durations.ts";
import {
  createLogReader,
  LOG_LEVELS,
  LOG_SOURCES,
  type LogFilter,
  type LogLevel,
  type LogReader,
  type LogRow,
} from "../../../supabase/log-reader.ts";
import { describeError } from "../../errors.ts";
import { plain, type Style } from "../../render/output.ts";

const POLL_MS = 1_000;
const MAX_LINES = 100_000;
const COLOURS: Readonly<Record<string, Parameters<Style>[0]>> = {
  INFO: "cyan",
  WARNING: "yellow",
  ERROR: "red",
  CRITICAL: ["red", "bold"],
};

interface LogsOptions {
  readonly worker?: string;
  readonly task?: string;
  readonly level?: LogLevel;
  readonly source?: NonNullable<LogFilter["source"]>;
  readonly since?: number;
  readonly limit: number;
  readonly follow?: boolean;
  readonly json?: boolean;
}

export function addLogsCommand(program: Command, context: Context): void {
  const logs = program
    .command("logs")
    .description("what workers and the Temporal worker logged in the last two days, oldest first")
    .option("--worker <id>", "of or about this worker")
    .option("--task <id>", "about this task", parseTaskId)
    .option("--level <level>", "this severe or more: debug, info, warning, error, critical", parseLevel)
    .addOption(new Option("--source <source>", "which processes logged").choices(LOG_SOURCES))
    .option("--since <duration>", "not older than this, such as 90s, 30m, 2h", parseSince)
    .option("--limit <n>", "at most this many lines, the newest", parseLimit, 100)
    .option("--follow", "keep printing what arrives until Ctrl-C")
    .addOption(new Option("--json", "print one JSON object a line instead of text"))
    .action(async (options: LogsOptions) => {
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
    });
  addExamples(logs, [
    ["gpu-pool logs --follow", "the last hundred lines and all that come"],
    ["gpu-pool logs --level error --since 2h", "what went wrong in two hours"],
    ["gpu-pool logs --worker main-afc3e264", "the story of one worker"],
    ["gpu-pool logs --json --limit 1000 | jq .message", "one JSON object a line, for programs"],
  ]);
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

export function parseLevel(text: string): LogLevel {
  const aliases: Readonly<Record<string, LogLevel>> = { TRACE: "DEBUG", WARN: "WARNING", FATAL: "CRITICAL" };
  const name = text.toUpperCase();
  const level = LOG_LEVELS.find((known) => known === (aliases[name] ?? name));
  if (level === undefined) {
    throw new InvalidArgumentError(`Expected one of ${LOG_LEVELS.join(", ").toLowerCase()}.`);
  }
  return level;
}

function parseTaskId(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new InvalidArgumentError("Expected a task's id, a UUID.");
  }
  return text;
}

function parseSince(text: string): number {
  try {
    return parseDurationSec(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function parseLimit(text: string): number {
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LINES) {
    throw new InvalidArgumentError(`Expected a whole number from 1 to ${MAX_LINES}.`);
  }
  return limit;
}
