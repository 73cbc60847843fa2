import { fleetStore, type HeldTask, type SeenWorker } from "../../../supabase/fleet/fleet-store.ts";
import type { Context } from "../../context.ts";
import { findWorker } from "../../find-by-prefix.ts";
import type { JsonOptions } from "../../options.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import { labelled } from "../../render/rows.ts";
import { renderTable } from "../../render/table.ts";
import { describeVram } from "./list-workers.ts";
import { isoTime } from "../../render/stored.ts";

const SHOWN_TASKS = 10;

/** Shows one worker, also one that is gone, with its last tasks. @throws ClientError when there is none, or more than one */
export async function showWorker(context: Context, given: string, { json }: JsonOptions): Promise<void> {
  const { output } = context;
  const worker = await findWorker(context, given);
  const tasks = await fleetStore(await context.connections.database()).lastHeld(worker.id, SHOWN_TASKS);
  if (json) {
    output.printJson({ ...worker, last_tasks: tasks });
  } else {
    output.print(renderWorker(worker, tasks, Date.now(), output.size().columns, output.style));
  }
}

export function renderWorker(
  worker: SeenWorker,
  tasks: readonly HeldTask[],
  nowMs: number,
  width: number,
  style: Style,
): string[] {
  const row = labelled(width, style);
  const ago = (at: string) => `${formatDuration(nowMs - Date.parse(at))} ago`;
  const optional = (label: string, text: string | null) => (text === null ? [] : [row(label, plain(text))]);
  const at = (label: string, time: string | null) => optional(label, time === null ? null : ago(time));
  return [
    `${style("bold", plain(worker.id))} ${plain(worker.status ?? "-")}${worker.gone_at === null ? "" : ", gone"}`,
    row(
      "pool",
      plain(`${worker.pool ?? "-"}${worker.origin === "external" ? ", external: the pool did not rent it" : ""}`),
    ),
    ...optional("reason", worker.status_reason),
    ...optional("failed on", worker.failed_on),
    row("boot", plain(`${worker.boot_stage} since ${formatDuration(nowMs - Date.parse(worker.boot_stage_at))}`)),
    ...optional("pod", worker.pod_id),
    ...optional("machine", worker.instance_type),
    row("VRAM", describeVram(worker)),
    row("cost", describeCost(worker, nowMs)),
    ...at("created", worker.created_at),
    ...at("ready", worker.ready_at),
    ...at("last beat", worker.last_heartbeat),
    ...at("leaves", worker.terminating_at),
    ...at("gone", worker.gone_at),
    "",
    ...(tasks.length === 0 ? ["it has had no task"] : taskTable(tasks, nowMs, width, style)),
  ];
}

function taskTable(tasks: readonly HeldTask[], nowMs: number, width: number, style: Style): string[] {
  const endMs = ({ ended_at: ended }: HeldTask) => (ended === null ? nowMs : Date.parse(ended));
  return renderTable(
    [
      { title: "TASK", value: ({ task_id: id }) => id.slice(0, 8) },
      { title: "TYPE", value: ({ tasks: task }) => plain(task?.task_type ?? "-"), dropOrder: 1 },
      { title: "BEGAN (UTC)", value: ({ started_at: at }) => isoTime(at).slice(0, 19), dropOrder: 2 },
      { title: "FOR", value: (each) => formatDuration(endMs(each) - Date.parse(each.started_at)), align: "right" },
      { title: "END", value: ({ cause }) => cause ?? "holds it" },
      { title: "ERROR", value: ({ error }) => plain(error ?? "") },
    ],
    tasks,
    width,
    style,
  );
}

/** The booked cost; until the pod is seen to be gone, the cost so far. */
export function describeCost(worker: SeenWorker, nowMs: number): string {
  const { cost_usd: booked, cost_per_hr_usd: perHour, pod_created_at: from, deleted_at: to, gone_at: gone } = worker;
  const rate = perHour === null ? "price not known" : `$${perHour.toFixed(2)} an hour`;
  if (gone !== null) {
    return `${booked === null ? "not known" : `$${booked.toFixed(4)}`}; ${rate}`;
  }
  if (from === null || perHour === null) {
    return `nothing yet; ${rate}`;
  }
  const hours = ((to === null ? nowMs : Date.parse(to)) - Date.parse(from)) / 3_600_000;
  return `$${(hours * perHour).toFixed(4)} so far; ${rate}`;
}
