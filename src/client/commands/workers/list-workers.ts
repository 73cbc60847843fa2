import { fleetStore, type SeenWorker } from "../../../supabase/fleet/fleet-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import type { Colour } from "../../render/rows.ts";
import { renderTable } from "../../render/table.ts";

export interface WorkersOptions extends PoolOptions {
  /** Also those that went within this time, in seconds. */
  readonly goneSince?: number;
}

const COLOURS: Readonly<Record<string, Colour>> = {
  spawning: "cyan",
  active: "green",
  terminating: "yellow",
  terminated: "dim",
  error: "red",
};

/** Lists the workers that are not gone; without --pool those of all pools. @throws ClientError when there is no such pool */
export async function listWorkers(context: Context, options: WorkersOptions): Promise<void> {
  const { output } = context;
  const { goneSince, json } = options;
  const database = await context.connections.database();
  const pool = options.pool === undefined ? undefined : poolName(context, options);
  const workers = await fleetStore(database).seen({
    ...(pool !== undefined && { pool }),
    ...(goneSince !== undefined && { goneSince: new Date(Date.now() - goneSince * 1000).toISOString() }),
  });
  if (workers.length === 0 && pool !== undefined && (await poolStore(database).find(pool)) === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  if (json) {
    output.printJson(workers);
  } else if (workers.length === 0) {
    output.note("no worker; --gone 24h shows those that went");
  } else {
    output.print(renderWorkers(workers, Date.now(), output.size().columns, output.style));
  }
}

export function renderWorkers(workers: readonly SeenWorker[], nowMs: number, width: number, style: Style): string[] {
  const age = (at: string | null) => (at === null ? "-" : formatDuration(nowMs - Date.parse(at)));
  return renderTable(
    [
      { title: "WORKER", value: ({ id, origin }) => plain(origin === "pool" ? id : `${id} (${origin})`) },
      {
        title: "STATUS",
        value: ({ status }) => plain(status ?? "-"),
        paint: ({ status }, text) => style(COLOURS[status ?? ""] ?? "dim", text),
      },
      { title: "BOOT", value: ({ boot_stage: stage }) => plain(stage), dropOrder: 3 },
      { title: "TASK", value: describeHeld },
      { title: "AGE", value: ({ created_at: at }) => age(at), align: "right", dropOrder: 1 },
      { title: "BEAT", value: ({ last_heartbeat: at }) => age(at), align: "right" },
      { title: "VRAM", value: describeVram, align: "right", dropOrder: 5 },
      {
        title: "$/H",
        value: ({ cost_per_hr_usd: usd }) => (usd === null ? "-" : usd.toFixed(2)),
        align: "right",
        dropOrder: 2,
      },
      { title: "GPU", value: ({ instance_type: type }) => plain(type ?? "-"), dropOrder: 4 },
      { title: "POD", value: ({ pod_id: pod }) => plain(pod ?? "-"), dropOrder: 6 },
    ],
    workers,
    width,
    style,
  );
}

export function describeHeld({ held: [task] }: Pick<SeenWorker, "held">): string {
  if (task === undefined) {
    return "-";
  }
  const progress = task.progress === null ? "" : ` ${Math.round(task.progress * 100)}%`;
  return plain(`${task.task_id.slice(0, 8)} ${task.tasks?.task_type ?? ""}${progress}`);
}

export function describeVram({ vram_used_mb: used, vram_total_mb: total }: SeenWorker): string {
  return used === null || total === null ? "-" : `${(used / 1024).toFixed(1)}/${(total / 1024).toFixed(1)} GiB`;
}
