import { loadConfig } from "../../../config/config.ts";
import { settingsInForce } from "../../../config/settings-in-force.ts";
import type { PoolSettings, Schedule } from "../../../contract/pool-settings.ts";
import { isOpen, nextChange, settingsAt } from "../../../policy/schedule.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { plain, type Style } from "../../render/output.ts";
import { headline, labelled } from "../../render/rows.ts";
import { renderTable } from "../../render/table.ts";
import { withTried } from "../../tried-settings.ts";
import { type AskedTime, localTime, parseTime, zoneOf } from "./schedule-time.ts";

export interface ScheduleOptions extends PoolOptions {
  /** A time in words; left out: now. */
  readonly at?: string;
}

type Size = Pick<PoolSettings, "minActiveGpus" | "maxActiveGpus" | "machinesToKeepIdle">;

/** The settings and the window that hold at one time. */
export interface ScheduleView {
  readonly pool: string;
  readonly at: AskedTime;
  /** Names of the windows that are open; null: none. */
  readonly open: string | null;
  readonly holds: Size;
  /** Outside all windows. */
  readonly usual: Size;
  /** The next change; null: none within eight days. */
  readonly next: { readonly ms: number; readonly open: string | null; readonly holds: Size } | null;
  readonly windows: readonly (Schedule & { readonly isOpen: boolean })[];
}

/**
 * Shows the windows of the week, and what holds now or at another time.
 * @param tried settings in place of the pool's own, which are not stored.
 * @throws ClientError, ConfigError, DatabaseError
 */
export async function showSchedule(
  context: Context,
  options: ScheduleOptions,
  tried: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { output, env } = context;
  const pool = poolName(context, options);
  const row = await poolStore(await context.connections.database()).find(pool);
  if (row === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  const settings = settingsInForce(loadConfig(env, { need: [] }), row.environment, withTried(row.own, tried));
  const view = viewSchedule(pool, settings, options.at, Date.now());
  if (options.json) {
    output.printJson(scheduleJson(view));
  } else {
    output.print(renderSchedule(view, output.size().columns, output.style));
  }
}

export function viewSchedule(
  pool: string,
  settings: PoolSettings,
  given: string | undefined,
  nowMs: number,
): ScheduleView {
  const { schedules } = settings;
  const now = { ms: nowMs, timeZone: zoneOf(schedules) ?? "UTC", note: null };
  const at = given === undefined ? now : parseTime(given, schedules);
  const changesMs = nextChange(settings, at.ms);
  return {
    pool,
    at,
    ...stateAt(settings, at.ms),
    usual: sizeOf(settings),
    next: changesMs === null ? null : { ms: changesMs, ...stateAt(settings, changesMs) },
    windows: schedules.map((window) => ({ ...window, isOpen: isOpen(window, at.ms) })),
  };
}

function stateAt(settings: PoolSettings, ms: number): Pick<ScheduleView, "open" | "holds"> {
  const { settings: holding, schedule } = settingsAt(settings, ms);
  return { open: schedule, holds: sizeOf(holding) };
}

function sizeOf({ minActiveGpus, maxActiveGpus, machinesToKeepIdle }: Size): Size {
  return { minActiveGpus, maxActiveGpus, machinesToKeepIdle };
}

export function renderSchedule(view: ScheduleView, width: number, style: Style): string[] {
  const { pool, at, open, holds, usual, next, windows } = view;
  const row = labelled(width, style);
  const time = (ms: number) => localTime(ms, at.timeZone);
  const lines = [
    headline(pool, `at ${time(at.ms)} ${at.timeZone}, ${describeOpen(open)}`, width, style),
    row("holds", describeSize(holds)),
    ...(open === null ? [] : [row("else", describeSize(usual))]),
    ...(next === null
      ? []
      : [row("until", `${time(next.ms)}; then ${describeOpen(next.open)}: ${describeSize(next.holds)}`)]),
    ...(at.note === null ? [] : [row("note", at.note, "yellow")]),
  ];
  if (windows.length === 0) {
    return [...lines, "", "the pool has no windows: docs/configuration.md describes the setting schedules"];
  }
  const size = (value: number | undefined) => (value === undefined ? "-" : String(value));
  const columns = [
    { title: "WINDOW", value: ({ name }: Schedule) => plain(name) },
    { title: "DAYS", value: ({ days }: Schedule) => days.join(" ") },
    { title: "FROM", value: ({ from }: Schedule) => from },
    { title: "TO", value: ({ to }: Schedule) => to },
    { title: "TIME ZONE", value: ({ timeZone }: Schedule) => timeZone },
    { title: "MIN", value: ({ minActiveGpus }: Schedule) => size(minActiveGpus), align: "right" as const },
    { title: "MAX", value: ({ maxActiveGpus }: Schedule) => size(maxActiveGpus), align: "right" as const },
    { title: "IDLE", value: ({ machinesToKeepIdle }: Schedule) => size(machinesToKeepIdle), align: "right" as const },
    { title: "OPEN", value: (window: ScheduleView["windows"][number]) => (window.isOpen ? "yes" : "no") },
  ];
  return [...lines, "", ...renderTable(columns, windows, width, style)];
}

function scheduleJson({ pool, at, open, holds, usual, next, windows }: ScheduleView): Record<string, unknown> {
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    pool,
    at: iso(at.ms),
    localTime: localTime(at.ms, at.timeZone),
    timeZone: at.timeZone,
    note: at.note,
    open,
    holds,
    usual,
    next: next && { at: iso(next.ms), open: next.open, holds: next.holds },
    windows,
  };
}

function describeOpen(open: string | null): string {
  return open === null ? "no window is open" : `open: ${plain(open)}`;
}

function describeSize({ minActiveGpus: min, maxActiveGpus: max, machinesToKeepIdle: idle }: Size): string {
  return `MIN ${min}, MAX ${max}, ${idle} kept idle`;
}
