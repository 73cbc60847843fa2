import type { Schedule } from "../../../contract/pool-settings.ts";
import { instantOf, localMs } from "../../../policy/schedule.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain } from "../../render/output.ts";

const FORM = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?(Z|[+-]\d\d:\d\d)?$/i;
/** By which clocks are set forward or back. */
const SHIFTS_MS = [1_800_000, 3_600_000];

/** An instant that a person names, and the clock by which it is shown. */
export interface AskedTime {
  readonly ms: number;
  readonly timeZone: string;
  /** A warning about a time that clocks never show, or show twice; null: there is none. */
  readonly note: string | null;
}

/** The one time zone of the windows; UTC where there is no window; null: they have several. */
export function zoneOf(windows: readonly Pick<Schedule, "timeZone">[]): string | null {
  const [first = "UTC", second] = new Set(windows.map(({ timeZone }) => timeZone));
  return second === undefined ? first : null;
}

/**
 * Reads 2027-03-28T01:30, with or without seconds and offset; a day alone is its midnight. Without an offset it is a time
 * of the windows' own zone.
 * @throws ClientError for another form, a day that no calendar has, and a time whose zone cannot be known
 */
export function parseTime(text: string, windows: readonly Pick<Schedule, "timeZone">[]): AskedTime {
  const [, day = "", time = "00:00", offset] = FORM.exec(text) ?? [];
  const local = Date.parse(`${day}T${time}Z`);
  // Some engines read 30 February as a day in March.
  if (Number.isNaN(local) || !new Date(local).toISOString().startsWith(day)) {
    const advice = "Expected such as 2027-03-28T01:30, 2027-03-28T01:30+01:00 or 2027-03-28T00:30Z.";
    throw new ClientError(EXIT.usage, `--at ${plain(text)} is no time`, advice);
  }
  const timeZone = zoneOf(windows);
  if (offset !== undefined) {
    return { ms: Date.parse(`${day}T${time}${offset}`), timeZone: timeZone ?? "UTC", note: null };
  }
  if (timeZone === null) {
    const zones = [...new Set(windows.map((window) => window.timeZone))].join(", ");
    const problem = `--at ${plain(text)} is of no certain time zone: the windows have several (${zones})`;
    throw new ClientError(EXIT.usage, problem, `Add Z or an offset, such as ${day}T${time}+01:00.`);
  }
  const ms = instantOf(local, timeZone);
  return { ms, timeZone, note: noteOn(local, ms, timeZone) };
}

function noteOn(local: number, ms: number, timeZone: string): string | null {
  const clock = (at: number) => new Date(at).toISOString().slice(11, 16);
  const seen = localMs(ms, timeZone);
  if (seen !== local) {
    return `clocks in ${timeZone} go forward then and never show ${clock(local)}: ${clock(seen)} is meant`;
  }
  return SHIFTS_MS.some((shift) => localMs(ms + shift, timeZone) === local)
    ? `clocks in ${timeZone} go back then and show ${clock(local)} twice: the first time is meant`
    : null;
}

/** As in 2027-03-28T01:30+01:00. */
export function localTime(ms: number, timeZone: string): string {
  const local = localMs(ms, timeZone);
  const offsetMin = Math.round((local - ms) / 60_000);
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(Math.abs(offsetMin) / 60), Math.abs(offsetMin) % 60];
  const offset = offsetMin === 0 ? "Z" : `${offsetMin < 0 ? "-" : "+"}${two(hours)}:${two(minutes)}`;
  return `${new Date(local).toISOString().slice(0, 16)}${offset}`;
}
