import type { Arrival } from "./arrivals.ts";

/** A line that cannot be read. The message names the line, what stands there and what was expected. */
export class CsvError extends Error {
  constructor(line: number, problem: string) {
    super(`line ${line}: ${problem}`);
    this.name = "CsvError";
  }
}

const COLUMNS = ["time", "seconds", "type"] as const;
type Places = Readonly<Record<(typeof COLUMNS)[number], number>>;
const IN_ORDER: Places = { time: 0, seconds: 1, type: 2 };
const NO_TYPE = "task";
const SHOWN_CHARS = 60;
/** Times of year 2100 and later are surely milliseconds, given as if they were seconds. */
const LATEST_SEC = Date.UTC(2100, 0, 1) / 1000;
const LONGEST_TASK_SEC = 30 * 24 * 3600;

/**
 * Reads tasks line by line: the time at which each came (ISO 8601, UTC where it names no zone; or seconds), how many seconds
 * it takes, and its type, which may be left out. A first line of names says which column is which; other columns are left
 * out of account. Lines may be in any order. Empty lines and lines that begin with # are comments.
 */
export class CsvReader {
  private places: Places | null = null;
  private lines = 0;
  private timeKind: "ISO 8601" | "seconds" | null = null;
  readonly arrivals: Arrival[] = [];

  /** @throws CsvError */
  read(text: string): void {
    this.lines += 1;
    const line = (this.lines === 1 ? text.replace(/^\uFEFF/, "") : text).trim();
    if (line === "" || line.startsWith("#")) {
      return;
    }
    const cells = this.cellsOf(line);
    if (this.places === null) {
      this.places = this.placesOf(cells);
      if (this.places !== null) {
        return;
      }
      this.places = IN_ORDER;
    }
    this.arrivals.push(this.arrivalOf(cells, this.places));
  }

  private arrivalOf(cells: readonly string[], places: Places): Arrival {
    const [time, seconds] = [cells[places.time], cells[places.seconds]];
    if (time === undefined || seconds === undefined) {
      const found = `${cells.length} ${cells.length === 1 ? "column" : "columns"}`;
      throw this.error(`expected at least a time and seconds, found ${found}: ${show(cells.join(","))}`);
    }
    return { atMs: this.timeOf(time), seconds: this.secondsOf(seconds), type: cells[places.type] || NO_TYPE };
  }

  private timeOf(text: string): number {
    const isNumber = /^\d+(\.\d+)?$/.test(text);
    const kind = isNumber ? "seconds" : "ISO 8601";
    const ms = isNumber ? Math.round(Number(text) * 1000) : isoMs(text);
    if (Number.isNaN(ms)) {
      throw this.error(`${show(text)} is no time; expected ISO 8601 such as 2026-03-01T09:30:00Z, or seconds`);
    }
    if (ms > LATEST_SEC * 1000) {
      throw this.error(`the time ${show(text)} is after the year 2100; expected seconds, not milliseconds`);
    }
    if (this.timeKind !== null && this.timeKind !== kind) {
      throw this.error(`the time ${show(text)} is ${kind}, but the lines before have ${this.timeKind}`);
    }
    this.timeKind = kind;
    return ms;
  }

  private secondsOf(text: string): number {
    const seconds = Number(text);
    if (text === "" || !(seconds >= 0) || seconds > LONGEST_TASK_SEC) {
      throw this.error(`a task takes ${show(text)} seconds; expected a number from 0 to ${LONGEST_TASK_SEC}`);
    }
    return seconds;
  }

  /** Null: the first line holds values. */
  private placesOf(cells: readonly string[]): Places | null {
    const names = cells.map((cell) => cell.toLowerCase());
    if (!names.some((name) => COLUMNS.some((column) => column === name))) {
      const [time = "", seconds = ""] = cells;
      if (Number.isNaN(Number(seconds)) && Number.isNaN(isoMs(time)) && Number.isNaN(Number(time))) {
        throw this.error(
          `a first line of names needs time and seconds, and may have type; found ${show(names.join(","))}`,
        );
      }
      return null;
    }
    const missing = COLUMNS.filter((column) => column !== "type" && !names.includes(column));
    if (missing.length > 0) {
      throw this.error(`the first line names no column ${missing.join(" and no ")}: ${show(cells.join(","))}`);
    }
    return { time: names.indexOf("time"), seconds: names.indexOf("seconds"), type: names.indexOf("type") };
  }

  /** A cell may stand in double quotes, in which a comma is text and a quote is written twice. */
  private cellsOf(line: string): string[] {
    if (!line.includes('"')) {
      return line.split(",").map((cell) => cell.trim());
    }
    const cells = [...line.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(,|$)/gy)];
    const read = cells.reduce((sum, [whole]) => sum + whole.length, 0);
    if (read < line.length) {
      throw this.error(`a quote does not fit: ${show(line)}`);
    }
    const ended = cells.findIndex(([, , , end]) => end === "");
    return cells.slice(0, ended + 1).map(([, quoted, bare = ""]) => quoted?.replaceAll('""', '"') ?? bare.trim());
  }

  private error(problem: string): CsvError {
    return new CsvError(this.lines, problem);
  }
}

/** Date.parse would also read texts such as "7" and take a time without a zone for local time. */
function isoMs(text: string): number {
  const found = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s?(Z|[+-]\d\d(?::?\d\d)?)?)?$/i.exec(text);
  if (found === null) {
    return Number.NaN;
  }
  const [, day, time = "00:00", zone = "Z"] = found;
  // Postgres writes +00.
  const offset = zone.length === 3 ? `${zone}:00` : zone.toUpperCase();
  const ms = Date.parse(`${day}T${time}${offset}`);
  // A day such as 31 February would become one of March.
  const isReal = !Number.isNaN(ms) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day ?? "");
  return isReal ? ms : Number.NaN;
}

function show(text: string): string {
  return `"${text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text}"`;
}
