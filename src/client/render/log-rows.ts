import { plain, type Style } from "./output.ts";
import { causeOf, fieldsOf, isoTime, textOf } from "./stored.ts";

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
  readonly metadata: unknown;
}

/** One line: time (UTC), level, source, message, fields. */
export function renderLogRow(row: LogLine, style: Style): string {
  const { timestamp, log_level: level, task_id: task, worker_id: worker, metadata } = row;
  const { err, pid: _pid, ...fields } = fieldsOf(metadata);
  const cause = causeOf(err);
  const about = {
    ...(worker !== null && row.source_type !== "worker" && { worker }),
    ...(task !== null && { task }),
    ...fields,
  };
  const details = Object.entries(about).map(([name, value]) => `${name}=${textOf(value)}`);
  return [
    style("dim", timeOf(timestamp)),
    style(COLOURS[level] ?? "dim", plain(level).padEnd(8)),
    style("bold", plain(row.source_id ?? row.source_type)),
    plain(cause === null ? row.message : `${row.message}: ${cause}`),
    ...(details.length === 0 ? [] : [style("dim", plain(details.join(" ")))]),
  ].join(" ");
}

/** Month, day and time of day; whole where the time is of another shape. */
function timeOf(timestamp: string): string {
  const iso = isoTime(timestamp);
  return /^\d{4}-/.test(iso) ? iso.slice(5, 19).replace("T", " ") : plain(iso).padEnd(14);
}
