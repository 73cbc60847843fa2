import type { Dashboard, DashboardAlert, DashboardWorker } from "../../../contract/dashboard.ts";
import { formatDuration } from "../durations.ts";
import { cut, plain, type Style } from "../output.ts";
import { type Column, renderTable } from "../table.ts";
import { PHASE_COLOURS } from "./figures.ts";

/** An alert in one line: kind, subject, age and message. */
export function alertLine(alert: DashboardAlert, at: string, width: number, style: Style): string {
  const age = formatDuration(Date.parse(at) - Date.parse(alert.openedAt));
  const rest = cut(plain(` ${alert.subject}, ${age}: ${alert.message}`), width - alert.kind.length);
  return style("red", cut(plain(alert.kind), width)) + rest;
}

export function adviceLine({ whatToDo }: DashboardAlert, width: number): string {
  return cut(plain(`  → ${whatToDo}`), width);
}

/** A decision in one line: when, and why. */
export function decisionLine({ at, reason }: Dashboard["decisions"][number], width: number, style: Style): string {
  const time = new Date(at).toISOString().slice(11, 19);
  return `${style("dim", time)} ${cut(plain(reason), width - time.length - 1)}`;
}

/** The fleet as a table: its head first, then a line for each worker. */
export function fleetLines({ fleet, at }: Dashboard, width: number, style: Style): string[] {
  return renderTable(columns(Date.parse(at)), fleet, width, style);
}

/** What the fleet's table leaves out; null: nothing. */
export function leftOut({ fleet, fleetCount }: Dashboard): string | null {
  const more = fleetCount - fleet.length;
  return more > 0 ? `… and ${more} more; gpu-pool workers lists all` : null;
}

function columns(nowMs: number): Column<DashboardWorker>[] {
  const age = (since: string | null) => (since === null ? "-" : formatDuration(nowMs - Date.parse(since)));
  return [
    { title: "WORKER", value: ({ id, origin }) => plain(origin === "external" ? `${id} (external)` : id) },
    {
      title: "PHASE",
      value: ({ phase }) => phase,
      paint: ({ phase }, text, style) => style(PHASE_COLOURS[phase], text),
    },
    { title: "TASK", value: (worker) => plain(describeWork(worker, nowMs)) },
    { title: "DONE", value: ({ task }) => describeProgress(task), align: "right" },
    { title: "AGE", value: ({ createdAt }) => age(createdAt), align: "right", dropOrder: 1 },
    { title: "BEAT", value: ({ heartbeatAt }) => age(heartbeatAt), align: "right", dropOrder: 2 },
    {
      title: "$/H",
      value: ({ usdPerHour }) => (usdPerHour === null ? "-" : usdPerHour.toFixed(2)),
      align: "right",
      dropOrder: 3,
    },
    { title: "GPU", value: ({ gpu }) => plain(gpu ?? "-"), dropOrder: 4 },
  ];
}

/** Its task, or the stage of its boot and how long that has lasted. */
function describeWork({ task, phase, bootStage, bootStageAt }: DashboardWorker, nowMs: number): string {
  if (task !== null) {
    return `${task.id.slice(0, 8)} ${task.type}`;
  }
  return phase === "spawning" ? `${bootStage} for ${formatDuration(nowMs - Date.parse(bootStageAt))}` : "-";
}

function describeProgress(task: DashboardWorker["task"]): string {
  if (task === null) {
    return "";
  }
  return task.progress === null ? "?" : `${Math.round(task.progress * 100)}%`;
}
