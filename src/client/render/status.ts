import type { Intent } from "../../contract/intent.ts";
import { startCommand } from "./start-command.ts";
import { alertColumns } from "./alerts.ts";
import { formatDuration } from "./durations.ts";
import { describeStale, type Freshness, freshnessOf } from "./freshness.ts";
import { describeIntent } from "./intent.ts";
import { describeMeasured, kindColumns, measuredJson, shownKinds } from "./measured.ts";
import { describeMessage, isWithoutEffect } from "./messages.ts";
import { plain, type Style } from "./output.ts";
import { type Colour, counted, headline, labelled } from "./rows.ts";
import type { FleetWorker, PoolReading } from "./pool-reading.ts";
import { type Column, renderTable } from "./table.ts";
import { isoTime } from "./stored.ts";

const STATUS_COLOURS: Readonly<Record<FleetWorker["status"], Colour>> = {
  spawning: "cyan",
  active: "green",
  terminating: "yellow",
  terminated: "dim",
  error: "red",
};
/** A GPU worker sends a heartbeat every 20 s by default. */
const HEARTBEAT_LATE_MS = 60_000;

const MESSAGE_SHOWN_MS = 60 * 60_000;

/** One screen about a pool, in lines of at most `width` characters. */
export function renderStatus(reading: PoolReading, width: number, style: Style): string[] {
  const { pool, intent, nowMs, fleet, jobs, queue, measured, costUsd, lastDecision, messages, undone, alerts } =
    reading;
  const wish = intent === null ? describeMissingRow(reading) : describeWish(reading, intent);
  const row = labelled(width, style);
  const seen = freshness(reading);
  const figures = measured && describeMeasured(measured);
  const lines = [
    headline(pool, wish, width, style),
    row("controller", describeController(reading), reading.controller.state === "answers" ? "green" : "yellow"),
    ...(seen?.isStale ? [row("WARNING", describeStale(seen), "red")] : []),
    row("size", describeSize(reading)),
    row("queue", describeQueue(queue)),
    ...(undone.length === 0 ? [] : [row("undone", describeUndone(undone), "red")]),
    ...(figures === null ? [] : [row("measured", figures)]),
    row("last 24 h", `${queue.completeLastDay} complete, ${queue.failedLastDay} failed`),
    row("cost", `$${hourlyUsd([...fleet, ...jobs]).toFixed(2)} an hour, $${costUsd.toFixed(2)} so far`),
    ...jobs.map(({ id, purpose, progress }) => row("job", plain(`${purpose} by pod ${id}: ${progress}`))),
    ...describeCircumstances(reading).map(({ label, text, colour }) => row(label, text, colour)),
    row(
      "decision",
      lastDecision === null
        ? "none yet"
        : `${formatDuration(nowMs - lastDecision.atMs)} ago: ${plain(lastDecision.reason)}`,
    ),
    row("processes", describeProcesses(reading), reading.processes.length > 0 ? undefined : "yellow"),
  ];
  for (const message of messages.filter(({ at }) => nowMs - Date.parse(at) < MESSAGE_SHOWN_MS)) {
    lines.push(row("message", describeMessage(message, nowMs), isWithoutEffect(message) ? "red" : undefined));
  }
  if (alerts.length > 0) {
    lines.push("", ...renderTable(alertColumns(nowMs), alerts, width, style));
  }
  const kinds = shownKinds(measured?.services ?? []);
  if (kinds.length > 0) {
    lines.push("", ...renderTable(kindColumns, kinds, width, style));
  }
  if (fleet.length > 0) {
    const workers = [...fleet].sort((a, b) => a.createdMs - b.createdMs || a.id.localeCompare(b.id));
    lines.push("", ...renderTable(columns(nowMs), workers, width, style));
  }
  return lines;
}

/** The same facts as renderStatus, for `--json`. */
export function statusJson(reading: PoolReading): Record<string, unknown> {
  const {
    pool,
    nowMs,
    intent,
    fleet,
    jobs,
    queue,
    undone,
    measured,
    costUsd,
    account,
    breaker,
    lastDecision,
    messages,
    alerts,
    controller,
  } = reading;
  const answer = controller.state === "answers" ? controller.status : null;
  const { state, reason } = { reason: undefined, ...controller };
  const seen = freshness(reading);
  return {
    pool,
    observedAt: isoTime(nowMs),
    controller: {
      state,
      ...(reason === undefined ? {} : { reason }),
      phase: answer?.phase ?? null,
      observedAt: seen?.observedAt ?? null,
      stale: seen?.isStale ?? null,
    },
    intent,
    desired: answer?.snapshot?.desired ?? null,
    rule: answer?.snapshot?.rule ?? null,
    schedule: answer?.snapshot?.schedule ?? null,
    suspended: answer?.snapshot?.suspended ?? null,
    breaker: breaker && { state: breaker.state, since: isoTime(breaker.sinceMs) },
    alerts,
    workerCounts: countWorkers(fleet),
    queue,
    undone,
    measured: measured && measuredJson(measured),
    jobs,
    processes: reading.processes.map(({ startedMs, ...process }) => ({
      ...process,
      startedAt: isoTime(startedMs),
    })),
    cost: { perHourUsd: hourlyUsd([...fleet, ...jobs]), soFarUsd: Math.round(costUsd * 1e6) / 1e6 },
    account,
    lastDecision: lastDecision && { at: isoTime(lastDecision.atMs), reason: lastDecision.reason },
    messages,
    workers: fleet,
  };
}

function describeProcesses({ processes, nowMs }: PoolReading): string {
  const one = ({ host, version, startedMs }: PoolReading["processes"][number]) =>
    `${plain(host)} (${plain(version)}, since ${formatDuration(Math.max(0, nowMs - startedMs))})`;
  return processes.length === 0
    ? "no Temporal worker gives a sign of life; start one: gpu-pool run"
    : `${processes.length}: ${processes.map(one).join(", ")}`;
}

/** Delayed tasks are rare, so they are named only where there are any. */
function describeQueue({ open, held, blocked, delayed, inProgress }: PoolReading["queue"]): string {
  const waiting = `${open} open, ${held} held, ${blocked} blocked${delayed === 0 ? "" : `, ${delayed} delayed`}`;
  return `${waiting}; ${inProgress} in progress`;
}

function describeUndone(undone: PoolReading["undone"]): string {
  const waiting = undone.map(({ taskType, tasks }) => `${tasks} ${plain(taskType)}`).join(", ");
  return `${waiting}: no worker can do them; start one that can, set WORKER_TASK_TYPES if new ones can, or cancel them`;
}

/** After a shutdown the row's mode stays `closing` until the next start. */
function describeWish({ pool, controller, nowMs }: PoolReading, intent: Intent): string {
  return intent.mode === "closing" && controller.state === "not_running"
    ? `was shut down; start it again: ${startCommand(pool)}`
    : describeIntent(intent, nowMs);
}

/** A pool's workflow writes the row first of all, so a workflow without a row has not run yet. */
function describeMissingRow({ controller }: PoolReading): string {
  return controller.state === "answers" || controller.state === "silent"
    ? "starting; waits for a Temporal worker"
    : "never started";
}

function freshness({ controller, nowMs }: PoolReading): Freshness | null {
  return controller.state === "answers" && controller.status.snapshot !== null
    ? freshnessOf(controller.status.snapshot.observedAt, controller.look, nowMs)
    : null;
}

function describeController(reading: PoolReading): string {
  const { controller } = reading;
  if (controller.state !== "answers") {
    return `none: ${plain(controller.reason)}; the counts are the database's`;
  }
  const { phase, watches, messages } = controller.status;
  return `${phase}; ${counted(watches, "watch", "watches")}, ${counted(messages, "message", "messages")} so far${describeSeen(freshness(reading))}`;
}

function describeSeen(seen: Freshness | null): string {
  return seen === null ? "; nothing seen yet" : `; seen ${formatDuration(seen.ageMs)} ago`;
}

interface Circumstance {
  readonly label: string;
  readonly text: string;
  readonly colour?: Colour;
}

/** Lines about caps, breaker, schedule and held back verdicts, if there are any. */
function describeCircumstances({ account, breaker, controller, nowMs }: PoolReading): Circumstance[] {
  const snapshot = controller.state === "answers" ? controller.status.snapshot : null;
  const { schedule = null, suspended = null } = snapshot ?? {};
  const found: Circumstance[] = [];
  if (account !== null) {
    const { hourlyUsd: hourly, todayUsd: today, maxHourlySpendUsd, dailyBudgetUsd } = account;
    const isOver = hourly >= (maxHourlySpendUsd ?? Infinity) || today >= (dailyBudgetUsd ?? Infinity);
    const text = `${ofCap(hourly, maxHourlySpendUsd)} an hour, ${ofCap(today, dailyBudgetUsd)} today, over all pools`;
    found.push({ label: "account", text, ...(isOver ? { colour: "red" } : {}) });
  }
  if (breaker !== null && breaker.state !== "closed") {
    const what = breaker.state === "open" ? "no spawns" : "one spawn at a time";
    const text = `${breaker.state.replace("_", "-")} for ${formatDuration(nowMs - breaker.sinceMs)}: ${what}`;
    found.push({ label: "breaker", text, colour: "red" });
  }
  if (schedule !== null) {
    found.push({ label: "schedule", text: plain(schedule) });
  }
  if (suspended !== null) {
    found.push({ label: "health", text: `verdicts suspended: ${plain(suspended)}`, colour: "yellow" });
  }
  return found;
}

function ofCap(usd: number, cap: number | null): string {
  return `$${usd.toFixed(2)}${cap === null ? "" : ` of $${cap.toFixed(2)}`}`;
}

function describeSize({ fleet, controller }: PoolReading): string {
  const { desired, rule } = (controller.state === "answers" ? controller.status.snapshot : null) ?? {};
  const { spawning, idle, busy, terminating, error } = countWorkers(fleet);
  const counts = `${spawning} spawning, ${idle} idle, ${busy} busy, ${terminating} terminating, ${error} in error`;
  return `${desired ?? "?"} desired${rule === undefined ? "" : ` by ${rule}`}; ${counts}`;
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

function hourlyUsd(pods: readonly Pick<FleetWorker, "costPerHourUsd">[]): number {
  return Math.round(pods.reduce((sum, { costPerHourUsd }) => sum + (costPerHourUsd ?? 0), 0) * 1e4) / 1e4;
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
    { title: "BOOT", value: (worker) => describeBoot(worker, nowMs), dropOrder: 2 },
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

/** How long the stage has lasted, and may last, while the worker boots. */
function describeBoot({ status, bootStage, bootStageMs, bootTimeoutSec }: FleetWorker, nowMs: number): string {
  if (status !== "spawning") {
    return plain(bootStage);
  }
  const limit = bootTimeoutSec === null ? "" : ` of ${formatDuration(bootTimeoutSec * 1000)}`;
  return `${plain(bootStage)} ${formatDuration(nowMs - bootStageMs)}${limit}`;
}

function describeTask({ task }: FleetWorker): string {
  return task === null ? "-" : plain([task.id.slice(0, 8), task.type].filter((part) => part !== null).join(" "));
}

function describeProgress(task: FleetWorker["task"]): string {
  if (task === null) {
    return "";
  }
  return task.progress === null ? "?" : `${Math.round(task.progress * 100)}%`;
}
