import { loadConfig } from "../../../config/config.ts";
import type { LogRow } from "../../../supabase/log-reader.ts";
import { createRunpodClient, type RunpodClient } from "../../../runpod/client.ts";
import type { PodLogLine } from "../../../runpod/logs.ts";
import type { Context } from "../../context.ts";
import { isoTime } from "../../render/stored.ts";

/** What `worker logs` shows of a line: a row of system_logs, or a line of the pod in the same form. */
export type ShownLine = Omit<LogRow, "id" | "cycle_number" | "arrived_at">;

export interface PodLog {
  readonly lines: readonly PodLogLine[];
  /** Why there are none, or not all; null: the log was read. */
  readonly problem: string | null;
}

/** The last lines that a pod wrote, as the provider has them. Never throws for the provider: its log is not the only one. @throws ConfigError */
export async function readPodLines(context: Context, pod: string, tail: number): Promise<PodLog> {
  const runpod = openRunpod(context);
  if (runpod === null) {
    return { lines: [], problem: "the pod's own lines need RUNPOD_API_KEY" };
  }
  try {
    const read = await runpod.readPodLog(pod, { tail: Math.min(tail, MOST_LINES), secrets: secretsOf(context) });
    if (read.kind === "read") {
      return {
        lines: read.lines,
        problem: read.complete ? null : "the pod's log broke off: some of its lines are missing",
      };
    }
    const gone = `the provider knows pod ${pod} no more, nor its log`;
    return {
      lines: [],
      problem: read.kind === "absent" ? gone : `the log of pod ${pod} cannot be read: ${read.detail}`,
    };
  } finally {
    await runpod.close();
  }
}

/** Shows what a pod writes from now on until `signal`. @returns why it ended, in words; null: it was asked to */
export async function followPodLines(
  context: Context,
  pod: string,
  after: string | null,
  signal: AbortSignal,
  show: (line: PodLogLine) => void,
): Promise<string | null> {
  const runpod = openRunpod(context);
  if (runpod === null) {
    return null;
  }
  try {
    const from = after === null ? { tail: 0 } : { after };
    for await (const event of runpod.followPodLog(pod, { ...from, secrets: secretsOf(context), signal })) {
      if (event.kind === "line") {
        show(event.line);
      } else if (event.end.kind !== "cancelled") {
        return `the log of pod ${pod} has ended (${event.end.kind})`;
      }
    }
    return null;
  } finally {
    await runpod.close();
  }
}

/** The provider's limit. */
const MOST_LINES = 5_000;

function openRunpod({ env }: Context): RunpodClient | null {
  if (!env["RUNPOD_API_KEY"]) {
    return null;
  }
  const { apiUrl, apiKey, timeoutMs } = loadConfig(env, { need: ["runpod"] }).runpod;
  return createRunpodClient({ apiUrl, apiKey, timeoutMs, userAgent: "gpu-pool" });
}

function secretsOf({ env }: Context): string[] {
  return ["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_ANON_KEY"].flatMap((name) => env[name] || []);
}

/**
 * The pod's lines and the rows of system_logs in one order of time. A line of our own GPU worker that is among the rows too
 * is shown once; a line without a time keeps its place after the one before it.
 */
export function mergedLines(rows: readonly ShownLine[], lines: readonly PodLogLine[], pod: string): ShownLine[] {
  const known = new Set(rows.map(keyOf));
  let lastAt = rows[0]?.timestamp ?? new Date(0).toISOString();
  const own = lines.flatMap((line) => {
    lastAt = line.at ?? lastAt;
    const shown = asRow(line, pod, lastAt);
    return known.has(keyOf(shown)) ? [] : [shown];
  });
  return [...rows, ...own].toSorted((one, other) => (msOf(one.timestamp) ?? 0) - (msOf(other.timestamp) ?? 0));
}

/** The same for a line of our own GPU worker in its pod's log and in system_logs. */
export function keyOf({ timestamp, message }: ShownLine): string {
  return `${Date.parse(timestamp)} ${message}`;
}

/** A pod's line in the form of a row; our own GPU worker writes pino's JSON. */
export function asRow({ source, text }: PodLogLine, pod: string, at: string): ShownLine {
  const common = { source_type: "worker", source_id: `pod ${pod}`, task_id: null, worker_id: null };
  const { time, level, msg, ...metadata } = parsed(text);
  const timestamp = typeof time === "number" ? isoTime(time) : "";
  if (msOf(timestamp) !== null && typeof level === "number" && typeof msg === "string") {
    return { ...common, timestamp, log_level: levelName(level), message: msg, metadata };
  }
  const log_level = source === "system" ? "HOST" : "POD";
  return { ...common, timestamp: at, log_level, message: text, metadata: {} };
}

/** Null where the text is no time that a Date holds. */
function msOf(timestamp: string): number | null {
  const ms = Date.parse(timestamp);
  return Number.isNaN(ms) ? null : ms;
}

function levelName(level: number): string {
  const [, name] =
    [
      [60, "CRITICAL"],
      [50, "ERROR"],
      [40, "WARNING"],
      [30, "INFO"],
    ].find(([from]) => level >= Number(from)) ?? [];
  return String(name ?? "DEBUG");
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = text.startsWith("{") ? JSON.parse(text) : null;
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
