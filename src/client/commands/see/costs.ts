import { fleetStore, type HeldTask, type SeenWorker } from "../../../supabase/fleet/fleet-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import { counted } from "../../render/rows.ts";
import { renderTable } from "../../render/table.ts";

const HOUR_MS = 3_600_000;

export interface CostsOptions extends PoolOptions {
  readonly by: "pool" | "worker" | "task";
  readonly limit: number;
}

export interface Cost {
  /** A pool, a worker or a task. */
  readonly of: string;
  readonly about: string;
  /** USD since midnight UTC; null: its price is not known. */
  readonly usd: number | null;
  readonly billedMs: number;
}

/** Shows what today has cost since midnight UTC. @throws ClientError when there is no such pool */
export async function showCosts(context: Context, options: CostsOptions): Promise<void> {
  const { output } = context;
  const nowMs = Date.now();
  const midnightMs = new Date(nowMs).setUTCHours(0, 0, 0, 0);
  const since = new Date(midnightMs).toISOString();
  const database = await context.connections.database();
  const pool = options.pool === undefined ? undefined : poolName(context, options);
  if (pool !== undefined && (await poolStore(database).find(pool)) === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  const workers = await fleetStore(database).seen({ ...(pool !== undefined && { pool }), goneSince: since });
  const held = options.by === "task" ? await fleetStore(database).heldSince(since) : [];
  const costs = workers.map((worker) => costOf(worker, midnightMs, nowMs));
  const totalUsd = costs.reduce((sum, { usd }) => sum + (usd ?? 0), 0);
  const unpriced = costs.filter(({ usd }) => usd === null).length;
  const groups = {
    pool: () => byPool(workers, costs),
    worker: () => costs,
    task: () => byTask(held, costs, midnightMs, nowMs),
  };
  const rows = groups[options.by]().toSorted((one, other) => (other.usd ?? 0) - (one.usd ?? 0));
  const shown = rows.slice(0, options.limit);
  if (options.json) {
    output.printJson({
      since,
      totalUsd: cents(totalUsd),
      unpriced,
      by: options.by,
      costs: shown,
      leftOut: rows.length - shown.length,
    });
    return;
  }
  output.print(`$${totalUsd.toFixed(2)} today since 00:00 UTC${pool === undefined ? ", all pools" : `, pool ${pool}`}`);
  if (unpriced > 0) {
    output.note(`the price of ${unpriced} of ${workers.length} workers is not known`);
  }
  if (shown.length > 0) {
    output.print(renderCosts(options.by, shown, output.size().columns, output.style));
  }
  if (rows.length > shown.length) {
    output.note(`the dearest ${shown.length} of ${rows.length}; --limit shows more`);
  }
}

/** The part of a worker's bill that lies after midnight, as the daily budget counts it. */
export function costOf(worker: SeenWorker, midnightMs: number, nowMs: number): Cost {
  const { id, status, pod_created_at: from, deleted_at: deleted, gone_at: gone, cost_per_hr_usd: perHour } = worker;
  const end = deleted ?? gone;
  const endMs = end === null ? nowMs : Date.parse(end);
  const billedMs = from === null ? 0 : Math.max(0, endMs - Math.max(midnightMs, Date.parse(from)));
  const usd = from === null ? 0 : perHour === null ? null : cents((perHour * billedMs) / HOUR_MS);
  return { of: id, about: `${worker.instance_type ?? "-"}, ${gone === null ? status : "gone"}`, usd, billedMs };
}

function byPool(workers: readonly SeenWorker[], costs: readonly Cost[]): Cost[] {
  const pools = new Map<string, { readonly count: number; readonly usd: number; readonly billedMs: number }>();
  for (const [index, { pool }] of workers.entries()) {
    const { count, usd, billedMs } = pools.get(pool ?? "-") ?? { count: 0, usd: 0, billedMs: 0 };
    const cost = costs[index];
    pools.set(pool ?? "-", {
      count: count + 1,
      usd: usd + (cost?.usd ?? 0),
      billedMs: billedMs + (cost?.billedMs ?? 0),
    });
  }
  return [...pools].map(([of, { count, usd, billedMs }]) => ({
    of,
    about: counted(count, "worker", "workers"),
    usd: cents(usd),
    billedMs,
  }));
}

/** Each worker's cost of today shared among the tasks that it held today, by the time that it held them; its idle time too. */
export function byTask(held: readonly HeldTask[], costs: readonly Cost[], midnightMs: number, nowMs: number): Cost[] {
  const costOfWorker = new Map(costs.map((cost) => [cost.of, cost]));
  const heldMs = ({ started_at: from, ended_at: to }: HeldTask) =>
    Math.max(1, (to === null ? nowMs : Date.parse(to)) - Math.max(midnightMs, Date.parse(from)));
  const busyMs = new Map<string, number>();
  for (const each of held) {
    busyMs.set(each.worker_id, (busyMs.get(each.worker_id) ?? 0) + heldMs(each));
  }
  const tasks = new Map<string, Cost>();
  for (const each of held) {
    const worker = costOfWorker.get(each.worker_id);
    if (worker === undefined) {
      continue;
    }
    const before = tasks.get(each.task_id) ?? {
      of: each.task_id,
      about: each.tasks?.task_type ?? "-",
      usd: 0,
      billedMs: 0,
    };
    const part = worker.usd === null ? null : (worker.usd * heldMs(each)) / (busyMs.get(each.worker_id) ?? 1);
    const usd = before.usd === null || part === null ? null : before.usd + part;
    tasks.set(each.task_id, { ...before, usd, billedMs: before.billedMs + heldMs(each) });
  }
  return [...tasks.values()].map((cost) => ({ ...cost, usd: cost.usd === null ? null : cents(cost.usd) }));
}

/** As the database books: millionths of a dollar. */
function cents(usd: number): number {
  return Math.round(usd * 1e6) / 1e6;
}

export function renderCosts(by: CostsOptions["by"], costs: readonly Cost[], width: number, style: Style): string[] {
  return renderTable(
    [
      { title: by.toUpperCase(), value: ({ of }) => plain(by === "task" ? of.slice(0, 8) : of) },
      { title: "$ TODAY", value: ({ usd }) => (usd === null ? "?" : usd.toFixed(4)), align: "right" },
      { title: by === "task" ? "HELD" : "BILLED", value: ({ billedMs }) => formatDuration(billedMs), align: "right" },
      { title: "ABOUT", value: ({ about }) => plain(about) },
    ],
    costs,
    width,
    style,
  );
}
