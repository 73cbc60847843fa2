import { startCommand } from "./context.ts";
import { formatDuration } from "./durations.ts";
import { describeIntent } from "./order.ts";
import { cut, plain, type Style } from "./output.ts";
import type { Controller, FleetWorker, PoolReading } from "./status-read.ts";
import { type Column, renderTable } from "./table.ts";

type Colour = "green" | "yellow" | "red" | "cyan" | "dim";

const STATUS_COLOURS: Readonly<Record<FleetWorker["status"], Colour>> = {
  spawning: "cyan",
  active: "green",
  terminating: "yellow",
  terminated: "dim",
  error: "red",
};
const LABEL_WIDTH = 11;
/** The default worker sends one every 20 s. */
const HEARTBEAT_LATE_MS = 60_000;

/** One screen about a pool, in lines of at most `width` characters. */
export function renderStatus(reading: PoolReading, width: number, style: Style): string[] {
  const { pool, intent, nowMs, fleet, queue, costUsd, lastDecision } = reading;
  const wish = intent === null ? describeMissingRow(reading) : describeIntent(intent, nowMs);
  const row = (label: string, text: string, colour?: Colour) => {
    const value = cut(text, width - LABEL_WIDTH);
    return style("dim", label.padEnd(LABEL_WIDTH)) + (colour === undefined ? value : style(colour, value));
  };
  const title = cut(`pool ${pool}`, width);
  const lines = [
    style("bold", title) + cut(`: ${wish}`, width - title.length),
    row(
      "controller",
      describeController(reading.controller),
      reading.controller.state === "answers" ? "green" : "yellow",
    ),
    row("size", describeSize(reading)),
    row("queue", `${queue.open} open, ${queue.held} held, ${queue.blocked} blocked; ${queue.inProgress} in progress`),
    row("last 24 h", `${queue.completeLastDay} complete, ${queue.failedLastDay} failed`),
    row("cost", `$${hourlyUsd(fleet).toFixed(2)} an hour, $${costUsd.toFixed(2)} so far`),
    row(
      "decision",
      lastDecision === null
        ? "none yet"
        : `${formatDuration(nowMs - lastDecision.atMs)} ago: ${plain(lastDecision.reason)}`,
    ),
  ];
  if (fleet.length > 0) {
    const workers = [...fleet].sort((a, b) => a.createdMs - b.createdMs || a.id.localeCompare(b.id));
    lines.push("", ...renderTable(columns(nowMs), workers, width, style));
  }
  return lines;
}

/** The same as JSON. */
export function statusJson(reading: PoolReading): Record<string, unknown> {
  const { pool, nowMs, intent, fleet, queue, costUsd, lastDecision, controller } = reading;
  const { status: answer, ...state } = controller.state === "answers" ? controller : { ...controller, status: null };
  return {
    pool,
    observedAt: new Date(nowMs).toISOString(),
    controller: { ...state, phase: answer?.phase ?? null },
    intent,
    desired: answer?.snapshot?.desired ?? null,
    workerCounts: countWorkers(fleet),
    queue,
    cost: { perHourUsd: hourlyUsd(fleet), soFarUsd: Math.round(costUsd * 1e6) / 1e6 },
    lastDecision: lastDecision && { at: new Date(lastDecision.atMs).toISOString(), reason: lastDecision.reason },
    workers: fleet,
  };
}

/** The first thing that a pool's workflow does is to write its row. */
function describeMissingRow({ pool, controller }: PoolReading): string {
  return controller.state === "answers" || controller.state === "silent"
    ? "starting; waits for a Temporal worker"
    : `never started; start it: ${startCommand(pool)}`;
}

function describeController(controller: Controller): string {
  if (controller.state !== "answers") {
    return `none: ${plain(controller.reason)}; the counts are the database's`;
  }
  const { phase, watches, messages } = controller.status;
  return `${phase}; ${counted(watches, "watch", "watches")}, ${counted(messages, "message", "messages")} so far`;
}

function describeSize({ fleet, controller }: PoolReading): string {
  const desired = controller.state === "answers" ? controller.status.snapshot?.desired : undefined;
  const { spawning, idle, busy, terminating, error } = countWorkers(fleet);
  const counts = `${spawning} spawning, ${idle} idle, ${busy} busy, ${terminating} terminating, ${error} in error`;
  return `${desired ?? "?"} desired; ${counts}`;
}

function countWorkers(fleet: readonly FleetWorker[]) {
  const count = (test: (worker: FleetWorker) => boolean) => fleet.filter(test).length;
  return {
    spawning: count(({ status }) => status === "spawning"),
    idle: count(({ status, task }) => status === "active" && task === null),
    busy: count(({ status, task }) => status === "active" && task !== null),
    terminating: count(({ status }) => status === "terminating"),
    error: count(({ status }) => status === "error" || status === "terminated"),
  };
}

function hourlyUsd(fleet: readonly FleetWorker[]): number {
  return Math.round(fleet.reduce((sum, { costPerHourUsd }) => sum + (costPerHourUsd ?? 0), 0) * 1e4) / 1e4;
}

function columns(nowMs: number): Column<FleetWorker>[] {
  const age = (sinceMs: number | null) => (sinceMs === null ? "-" : formatDuration(nowMs - sinceMs));
  return [
    { title: "WORKER", value: ({ id, origin }) => plain(origin === "external" ? `${id} (external)` : id) },
    {
      title: "STATUS",
      value: ({ status }) => status,
      paint: ({ status }, text, style) => style(STATUS_COLOURS[status], text),
    },
    { title: "BOOT", value: ({ bootStage }) => plain(bootStage), dropOrder: 2 },
    { title: "TASK", value: describeTask },
    { title: "DONE", value: ({ task }) => describeProgress(task), align: "right" },
    { title: "AGE", value: ({ createdMs }) => age(createdMs), align: "right", dropOrder: 1 },
    {
      title: "BEAT",
      value: ({ heartbeatMs }) => age(heartbeatMs),
      align: "right",
      paint: ({ heartbeatMs }, text, style) =>
        heartbeatMs !== null && nowMs - heartbeatMs > HEARTBEAT_LATE_MS ? style("red", text) : text,
    },
    {
      title: "$/H",
      value: ({ costPerHourUsd }) => (costPerHourUsd === null ? "-" : costPerHourUsd.toFixed(2)),
      align: "right",
      dropOrder: 3,
    },
    { title: "POD", value: ({ podId }) => plain(podId ?? "-"), dropOrder: 4 },
  ];
}

function describeTask({ task }: FleetWorker): string {
  return task === null ? "-" : plain([task.id.slice(0, 8), task.type].filter((part) => part !== null).join(" "));
}

function describeProgress(task: FleetWorker["task"]): string {
  if (task === null) return "";
  return task.progress === null ? "?" : `${Math.round(task.progress * 100)}%`;
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
