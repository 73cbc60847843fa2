import { plain, type Style } from "./output.ts";

const COLOURS: Readonly<Record<string, Parameters<Style>[0]>> = {
  INFO: "cyan",
  WARNING: "yellow",
  ERROR: "red",
  CRITICAL: ["red", "bold"],
};

/** A row of system_logs. */
interface LogLine {
  readonly timestamp: string;
  readonly log_level: string;
  readonly source_type: string;
  readonly source_id: string | null;
  readonly message: string;
  readonly task_id: string | null;
  readonly worker_id: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** One line: time (UTC), level, source, message, fields. */
export function renderLogRow(row: LogLine, style: Style): string {
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
