import { type Line, SEVERITIES, type Severity } from "./log-lines.ts";

/** Dropped lines by severity. */
export type Dropped = Partial<Record<Severity, number>>;

export interface LogBuffer {
  size(): number;
  add(line: Line): void;
  /** Removes and returns the oldest lines. */
  take(count: number): Line[];
  /** Puts back lines that could not be sent, and the counts of dropped lines that were taken with them. */
  putBack(lines: readonly Line[], dropped: Dropped): void;
  /** Returns the counts of dropped lines and resets them. */
  takeDropped(): Dropped;
}

/** Lines that wait to be sent. Beyond the capacity it drops the least severe lines, the oldest of these first. */
export function createLogBuffer(capacity: number): LogBuffer {
  let lines: Line[] = [];
  let dropped: Dropped = {};

  function makeRoom(): void {
    while (lines.length > capacity) {
      const least = SEVERITIES.find((severity) => lines.some(({ level }) => level === severity)) ?? "DEBUG";
      // Drops a tenth at once, because each search for the least severe reads all lines.
      let surplus = Math.max(lines.length - capacity, Math.floor(capacity / 10));
      const before = lines.length;
      lines = lines.filter(({ level }) => level !== least || surplus-- <= 0);
      dropped[least] = (dropped[least] ?? 0) + before - lines.length;
    }
  }

  return {
    size: () => lines.length,
    add(line) {
      lines.push(line);
      makeRoom();
    },
    take: (count) => lines.splice(0, count),
    putBack(taken, counted) {
      lines = [...taken, ...lines];
      for (const [severity, count] of Object.entries(counted) as [Severity, number][]) {
        dropped[severity] = (dropped[severity] ?? 0) + count;
      }
      makeRoom();
    },
    takeDropped() {
      const counted = dropped;
      dropped = {};
      return counted;
    },
  };
}
