const LEVELS = "▁▂▃▄▅▆▇█";
/** A minute that nobody recorded. */
const UNKNOWN = "·";
const MINUTE_MS = 60_000;
/** A minute is recorded some seconds after its end. */
const RECORDED_AFTER_MS = 20_000;

/** The minutes of the last hour, the oldest first; null: not recorded. */
export function lastHour<M extends { readonly at: string }>(minutes: readonly M[], now: string): (M | null)[] {
  const byMinute = new Map(minutes.map((minute) => [Math.floor(Date.parse(minute.at) / MINUTE_MS), minute]));
  const last = Math.floor((Date.parse(now) - RECORDED_AFTER_MS) / MINUTE_MS) - 1;
  return Array.from({ length: 60 }, (_, index) => byMinute.get(last - 59 + index) ?? null);
}

/** Values as bars between zero and the highest, in at most `width` characters: each shows the highest of its share. */
export function sparkline(values: readonly (number | null)[], width: number): string {
  const share = Math.ceil(values.length / Math.max(1, Math.min(width, values.length)));
  const highest = Math.max(0, ...values.map((value) => value ?? 0));
  let line = "";
  for (let from = 0; from < values.length; from += share) {
    const known = values.slice(from, from + share).filter((value) => value !== null);
    const level = highest === 0 ? 0 : Math.ceil((Math.max(0, ...known) / highest) * (LEVELS.length - 1));
    line += known.length === 0 ? UNKNOWN : (LEVELS[level] ?? UNKNOWN);
  }
  return line;
}

/** A bar of at most `width` characters for a part of a whole. A part that is there has one at least. */
export function bar(part: number, whole: number, width: number): string {
  const filled = part === 0 || whole === 0 ? 0 : Math.max(1, Math.round((part / whole) * width));
  return "█".repeat(Math.min(filled, width)).padEnd(Math.max(0, width), "░");
}
