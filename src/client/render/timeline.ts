import { formatDuration } from "./durations.ts";
import { plain, type Style } from "./output.ts";
import { isoTime } from "./stored.ts";

/** Something that happened to a task or a worker. */
export interface TimelineEntry {
  /** ISO 8601. */
  readonly at: string;
  /** Such as created, attempt, worker.gone or log. */
  readonly kind: string;
  readonly text: string;
  /** The number of the attempt that it is about. */
  readonly attempt?: number;
  readonly task?: string;
  readonly worker?: string;
}

const KIND_WIDTH = 15;

/** In the order of time; what happened at the same time stays as it was given. */
export function inOrder(entries: readonly TimelineEntry[]): TimelineEntry[] {
  return entries.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

/** One line for each entry: time (UTC), how long after the first one, kind, and what happened. */
export function renderTimeline(entries: readonly TimelineEntry[], style: Style): string[] {
  const beganMs = Date.parse(entries[0]?.at ?? "");
  return entries.map(({ at, kind, text }) => {
    const since = `+${formatDuration(Date.parse(at) - beganMs)}`;
    const time = isoTime(at).slice(5, 19).replace("T", " ");
    const kindPadded = plain(kind).padEnd(KIND_WIDTH);
    return [style("dim", time), since.padStart(8), style(colourOf(kind), kindPadded), plain(text)].join(" ");
  });
}

function colourOf(kind: string): Parameters<Style>[0] {
  if (kind === "log" || kind === "silence") {
    return "dim";
  }
  return /fail|error|expelled|refused|burned/.test(kind) ? "red" : "cyan";
}
