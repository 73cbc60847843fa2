import type { Day, Schedule } from "../contract/pool-settings.ts";
import type { PolicySettings } from "./settings.ts";

const DAYS: readonly Day[] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Creating a formatter costs a hundred times as much as using it, and decisions are made twice a second. */
const formatters = new Map<string, Intl.DateTimeFormat>();

/**
 * The settings with the schedule windows that are open at an instant; the later of two windows wins, field by field.
 * MIN is never above MAX.
 * @returns also the names of the open windows; null: none is open.
 */
export function settingsAt<Settings extends PolicySettings>(
  settings: Settings,
  nowMs: number,
): { readonly settings: Settings; readonly schedule: string | null } {
  const open = settings.schedules.filter((window) => isOpen(window, nowMs));
  if (open.length === 0) {
    return { settings, schedule: null };
  }
  const latest = <K extends "minActiveGpus" | "maxActiveGpus" | "machinesToKeepIdle">(key: K): number =>
    open.findLast((window) => window[key] !== undefined)?.[key] ?? settings[key];
  const maxActiveGpus = latest("maxActiveGpus");
  const changed = {
    minActiveGpus: Math.min(latest("minActiveGpus"), maxActiveGpus),
    maxActiveGpus,
    machinesToKeepIdle: latest("machinesToKeepIdle"),
  };
  return { settings: { ...settings, ...changed }, schedule: open.map(({ name }) => name).join(", ") };
}

/** Whether a window that began on the local day of `nowMs`, or on the day before, is open. */
export function isOpen(window: Schedule, nowMs: number): boolean {
  return openings(window, nowMs, -1, 0).some(({ beginMs, endMs }) => beginMs <= nowMs && nowMs < endMs);
}

/** When the settings change next because a window opens or closes; null: never within the next eight days. */
export function nextChange(settings: PolicySettings, nowMs: number): number | null {
  const seen = (ms: number) => {
    const { minActiveGpus, maxActiveGpus, machinesToKeepIdle } = settingsAt(settings, ms).settings;
    return [minActiveGpus, maxActiveGpus, machinesToKeepIdle].join();
  };
  const now = seen(nowMs);
  const times = settings.schedules.flatMap((window) =>
    openings(window, nowMs, -1, 8).flatMap(({ beginMs, endMs }) => [beginMs, endMs]),
  );
  const later = times.filter((ms) => ms > nowMs).toSorted((one, other) => one - other);
  return later.find((ms) => seen(ms) !== now) ?? null;
}

/** The openings of a window that begin on these days, counted from the local day of `nowMs`. */
function openings({ days, from, to, timeZone }: Schedule, nowMs: number, firstDay: number, lastDay: number) {
  const [begin, end] = [minutes(from), minutes(to)];
  const length = end > begin ? end : end + 24 * 60;
  const today = Math.floor(localMs(nowMs, timeZone) / DAY_MS) * DAY_MS;
  const each = Array.from({ length: lastDay - firstDay + 1 }, (_, index) => today + (firstDay + index) * DAY_MS);
  return each
    .filter((day) => days.some((name) => name === DAYS[new Date(day).getUTCDay()]))
    .map((day) => ({
      beginMs: instantOf(day + begin * MINUTE_MS, timeZone),
      endMs: instantOf(day + length * MINUTE_MS, timeZone),
    }));
}

function minutes(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return hours * 60 + minutes;
}

/** The time that a time zone's clocks show, in ms, as if it were UTC. */
export function localMs(ms: number, timeZone: string): number {
  let formatter = formatters.get(timeZone);
  if (formatter === undefined) {
    const two = "2-digit";
    const parts = { year: "numeric", month: two, day: two, hour: two, minute: two, second: two } as const;
    formatter = new Intl.DateTimeFormat("en-US", { ...parts, timeZone, hourCycle: "h23", calendar: "gregory" });
    formatters.set(timeZone, formatter);
  }
  const shown = Object.fromEntries(formatter.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = shown;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/**
 * The instant at which a time zone's clocks show `local`. Clocks that are set back show a time twice: the first instant
 * counts. Clocks that are set forward by an hour never show 02:30: the instant at which they show 03:30 counts.
 */
export function instantOf(local: number, timeZone: string): number {
  const offset = (ms: number) => localMs(ms, timeZone) - Math.floor(ms / 1000) * 1000;
  const [before, after] = [offset(local - DAY_MS), offset(local + DAY_MS)];
  const isShown = (ms: number) => localMs(ms, timeZone) === local;
  return before === after || isShown(local - before) || !isShown(local - after) ? local - before : local - after;
}
