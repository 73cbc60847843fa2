import { cut, storable, storableText } from "../../supabase/functions/_shared/text.ts";
import type { LogLine } from "../supabase/log-store.ts";

const LONGEST_LINE = 32_000;

/** The levels of `system_logs`, from the least severe. */
export const SEVERITIES = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;
export type Severity = (typeof SEVERITIES)[number];
const SEVERITY_OF: Readonly<Record<string, Severity>> = {
  trace: "DEBUG",
  debug: "DEBUG",
  info: "INFO",
  warn: "WARNING",
  error: "ERROR",
  fatal: "CRITICAL",
};

export type Line = LogLine & { readonly level: Severity };

export function lineOf(sourceId: string, level: Severity, message: string, metadata: LogLine["metadata"]): Line {
  const timestamp = new Date().toISOString();
  return { timestamp, level, message, source_type: "orchestrator_gpu", source_id: sourceId, metadata };
}

export function readLine(sourceId: string, text: string): Line {
  let entry: Record<string, unknown>;
  try {
    entry = storable(JSON.parse(cut(text, LONGEST_LINE))) as Record<string, unknown>;
  } catch {
    // The line is too long or not JSON: its first 2,000 characters are the message.
    const level = SEVERITY_OF[/"level":"(\w+)"/.exec(text)?.[1] ?? ""] ?? "INFO";
    return lineOf(sourceId, level, storableText(cut(text.trim(), 2_000)), {});
  }
  const { level, time, msg, name: _name, taskId, workerId, worker, cycle, ...fields } = entry;
  const ofWorker = workerId ?? worker;
  return {
    ...lineOf(sourceId, SEVERITY_OF[String(level)] ?? "INFO", typeof msg === "string" ? msg : "(no message)", fields),
    ...(typeof time === "string" && { timestamp: time }),
    ...(typeof taskId === "string" && { task_id: taskId }),
    ...(typeof ofWorker === "string" && { worker_id: ofWorker }),
    ...(typeof cycle === "number" && { cycle_number: cycle }),
  };
}
