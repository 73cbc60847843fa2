import { type CostReport, type CostsBy, readCosts } from "../../../supabase/reports/cost-report.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import { counted } from "../../render/rows.ts";
import { type Column, renderTable } from "../../render/table.ts";

const DAY_MS = 86_400_000;

export interface CostsOptions extends PoolOptions {
  readonly by: CostsBy;
  readonly limit: number;
  /** In seconds. */
  readonly since?: number;
  /** today, yesterday, or a date in UTC such as 2026-11-30. */
  readonly day?: string;
}

/** Times in ms since the epoch; `toMs` null: now. */
export interface CostPeriod {
  readonly fromMs: number;
  readonly toMs: number | null;
  readonly inWords: string;
}

type CostRow = CostReport["rows"][number];
type Made = Pick<CostReport["total"], "finished" | "videoSec"> & { readonly usd: number | null };

/** Shows what pods have cost; without a time, since midnight UTC. @throws ClientError when there is no such pool */
export async function showCosts(context: Context, options: CostsOptions): Promise<void> {
  const { output } = context;
  const { by, limit } = options;
  const period = periodOf(options, Date.now());
  const database = await context.connections.database();
  const pool = options.pool === undefined ? undefined : poolName(context, options);
  const report = await readCosts(database, {
    by,
    from: new Date(period.fromMs).toISOString(),
    to: period.toMs === null ? null : new Date(period.toMs).toISOString(),
    ...(pool !== undefined && { pool }),
    limit,
  });
  if (pool !== undefined && report.total.workers === 0 && (await poolStore(database).find(pool)) === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  if (options.json) {
    output.printJson(asJson(by, report));
    return;
  }
  const { total, rows, leftOut } = report;
  const where = pool === undefined ? "all pools" : `pool ${pool}`;
  output.print([`$${total.usd.toFixed(2)} ${period.inWords}, ${where}`, ...describeUse(total)]);
  if (total.unpriced > 0) {
    output.note(`the price of ${total.unpriced} of ${counted(total.workers, "worker", "workers")} is not known`);
  }
  if (rows.length > 0) {
    output.print(renderCosts(by, rows, output.size().columns, output.style));
  }
  if (["project", "type", "task"].includes(by) && total.withoutTaskUsd > 0) {
    output.note(`$${total.withoutTaskUsd.toFixed(4)} are of workers that held no task in this time: --by worker`);
  }
  if (leftOut > 0) {
    output.note(
      `the ${by === "day" ? "newest" : "dearest"} ${rows.length} of ${rows.length + leftOut}; --limit shows more`,
    );
  }
}

/** @param nowMs now, in ms since the epoch */
export function periodOf({ since, day }: Pick<CostsOptions, "since" | "day">, nowMs: number): CostPeriod {
  const midnightMs = new Date(nowMs).setUTCHours(0, 0, 0, 0);
  if (since !== undefined) {
    return { fromMs: nowMs - since * 1000, toMs: null, inWords: `in the last ${formatDuration(since * 1000)}` };
  }
  if (day === undefined || day === "today") {
    return { fromMs: midnightMs, toMs: null, inWords: "today since 00:00 UTC" };
  }
  const fromMs = day === "yesterday" ? midnightMs - DAY_MS : Date.parse(`${day}T00:00:00Z`);
  const date = new Date(fromMs).toISOString().slice(0, 10);
  return { fromMs, toMs: fromMs + DAY_MS, inWords: `on ${date} (UTC)` };
}

/** The costs of idle time, of a finished task and of a minute of finished video; no lines where nothing was billed. */
function describeUse(total: CostReport["total"]): string[] {
  const { usd, idleUsd, bootUsd, finished } = total;
  if (usd === 0) {
    return [];
  }
  const idle = `$${idleUsd.toFixed(2)} of it idle (${Math.round((100 * idleUsd) / usd)} %), $${bootUsd.toFixed(2)} of that booting`;
  const each = perTask(total);
  const minute = perMinute(total);
  const made = [
    `${counted(finished, "task", "tasks")} finished`,
    ...(each === null ? [] : [`$${each.toFixed(4)} each`]),
    ...(minute === null ? [] : [`$${minute.toFixed(4)} a minute of finished video`]),
  ];
  return [idle, made.join(", ")];
}

function perTask({ usd, finished }: Made): number | null {
  return usd === null || finished === 0 ? null : usd / finished;
}

/** Null: no finished task says how long its video is. */
function perMinute({ usd, videoSec }: Made): number | null {
  return usd === null || videoSec <= 0 ? null : (usd * 60) / videoSec;
}

function asJson(by: CostsBy, { from, to, total, rows, leftOut }: CostReport) {
  const perUnit = (made: Made) => ({
    usdPerFinishedTask: rounded(perTask(made)),
    usdPerVideoMinute: rounded(perMinute(made)),
  });
  const { usd: totalUsd, billedSec, busySec, ...others } = total;
  return {
    since: from,
    until: to,
    by,
    totalUsd,
    billedMs: ms(billedSec),
    busyMs: ms(busySec),
    ...others,
    ...perUnit(total),
    costs: rows.map((row) => ({ ...withoutSeconds(row), about: aboutOf(row), ...perUnit(row) })),
    leftOut,
  };
}

function withoutSeconds({ billedSec, busySec, ...row }: CostRow) {
  return { ...row, billedMs: ms(billedSec), busyMs: ms(busySec) };
}

function ms(sec: number): number {
  return Math.round(sec * 1000);
}

/** As the database books: millionths of a dollar. */
function rounded(usd: number | null): number | null {
  return usd === null ? null : Math.round(usd * 1e6) / 1e6;
}

function aboutOf({ about, workers }: Pick<CostRow, "about" | "workers">): string {
  return about ?? counted(workers, "worker", "workers");
}

export function renderCosts(by: CostsBy, rows: readonly CostRow[], width: number, style: Style): string[] {
  const dollars = (usd: number | null) => (usd === null ? "-" : usd.toFixed(4));
  const money = (title: string, value: (row: CostRow) => number | null, dropOrder: number): Column<CostRow> => ({
    title,
    value: (row) => dollars(value(row)),
    align: "right",
    dropOrder,
  });
  return renderTable(
    [
      { title: by.toUpperCase(), value: ({ of }) => plain(by === "task" ? of.slice(0, 8) : of) },
      {
        title: "$",
        value: ({ usd, unpriced }) => (unpriced === 0 ? dollars(usd) : usd === null ? "?" : `≥${usd.toFixed(4)}`),
        align: "right",
      },
      money("IDLE $", ({ idleUsd }) => idleUsd, 1),
      { title: "BILLED", value: ({ billedSec }) => formatDuration(billedSec * 1000), align: "right", dropOrder: 3 },
      { title: "BUSY", value: ({ busySec }) => formatDuration(busySec * 1000), align: "right", dropOrder: 4 },
      { title: "FINISHED", value: ({ finished }) => String(finished), align: "right", dropOrder: 2 },
      money("$/TASK", perTask, 6),
      money("$/MIN VIDEO", perMinute, 5),
      { title: "ABOUT", value: (row) => plain(aboutOf(row)) },
    ],
    rows,
    width,
    style,
  );
}
