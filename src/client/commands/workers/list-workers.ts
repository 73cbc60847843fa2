import { listWorkers, type ListedWorker, type WorkerListFilter } from "../../../supabase/reports/worker-list.ts";
import type { SeenWorker } from "../../../supabase/fleet/fleet-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import type { Colour } from "../../render/rows.ts";
import { renderTable } from "../../render/table.ts";

export interface WorkersOptions extends PoolOptions, Pick<WorkerListFilter, "gpu" | "limit"> {
  readonly phase?: WorkerListFilter["phases"];
  /** Without a heartbeat for at least so long, in seconds. */
  readonly silent?: number;
  /** Also those that went within this time, in seconds. */
  readonly gone?: number;
}

type Vram = Pick<SeenWorker, "vram_used_mb" | "vram_total_mb">;

const DEFAULT_GONE_SEC = 86_400;

const COLOURS: Readonly<Record<ListedWorker["phase"], Colour>> = {
  spawning: "cyan",
  idle: "dim",
  busy: "green",
  terminating: "yellow",
  failing: "red",
  gone: "dim",
};

/** Lists the workers that are not gone; without --pool those of all pools. @throws ClientError when there is no such pool */
export async function showWorkers(context: Context, options: WorkersOptions): Promise<void> {
  const { output } = context;
  const { phase, gpu, silent, limit, json } = options;
  const gone = options.gone ?? (phase?.includes("gone") ? DEFAULT_GONE_SEC : undefined);
  const database = await context.connections.database();
  const pool = options.pool === undefined ? undefined : poolName(context, options);
  const { workers, leftOut } = await listWorkers(database, {
    limit,
    ...(pool !== undefined && { pool }),
    ...(phase !== undefined && { phases: phase }),
    ...(gpu !== undefined && { gpu }),
    ...(silent !== undefined && { silentSec: silent }),
    ...(gone !== undefined && { goneSince: new Date(Date.now() - gone * 1000).toISOString() }),
  });
  if (workers.length === 0 && pool !== undefined && (await poolStore(database).find(pool)) === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  if (json) {
    output.printJson(workers);
  } else if (workers.length === 0) {
    const filtered = phase !== undefined || gpu !== undefined || silent !== undefined;
    output.note(filtered ? "no worker matches" : "no worker; --gone 24h shows those that went");
  } else {
    output.print(renderWorkers(workers, Date.now(), output.size().columns, output.style));
  }
  if (leftOut > 0) {
    output.note(`the oldest ${workers.length} of ${workers.length + leftOut}; --limit shows more`);
  }
}

export function renderWorkers(workers: readonly ListedWorker[], nowMs: number, width: number, style: Style): string[] {
  const age = (at: string | null) => (at === null ? "-" : formatDuration(nowMs - Date.parse(at)));
  return renderTable(
    [
      { title: "WORKER", value: ({ id, origin }) => plain(origin === "pool" ? id : `${id} (${origin})`) },
      {
        title: "PHASE",
        value: describePhase,
        paint: ({ phase }, text) => style(COLOURS[phase] ?? "dim", text),
      },
      { title: "TASK", value: describeHeld },
      { title: "MODEL", value: ({ held: [task] }) => plain(task?.model ?? "-"), dropOrder: 3 },
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

/** With the boot stage of one that boots, and how one that is gone ended. */
function describePhase({ phase, boot_stage: stage, status }: ListedWorker): string {
  if (phase === "spawning") {
    return plain(`spawning: ${stage}`);
  }
  return phase === "gone" && status === "error" ? "gone: failed" : phase;
}

function describeHeld({ held: [task] }: ListedWorker): string {
  if (task === undefined) {
    return "-";
  }
  const progress = task.progress === null ? "" : ` ${Math.round(task.progress * 100)}%`;
  return plain(`${task.task_id.slice(0, 8)} ${task.tasks?.task_type ?? ""}${progress}`);
}

export function describeVram({ vram_used_mb: used, vram_total_mb: total }: Vram): string {
  return used === null || total === null ? "-" : `${(used / 1024).toFixed(1)}/${(total / 1024).toFixed(1)} GiB`;
}
