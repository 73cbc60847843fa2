import { fleetStore, type HeldTask, type SeenWorker } from "../supabase/fleet/fleet-store.ts";
import { createEventReader, type EventRow } from "../supabase/history/event-reader.ts";
import { createLogReader, type LogRow } from "../supabase/log-reader.ts";
import type { Context } from "./context.ts";
import { findWorker } from "./find-by-prefix.ts";
import type { JsonOptions } from "./options.ts";
import { formatDuration } from "./render/durations.ts";
import { inOrder, renderTimeline, type TimelineEntry } from "./render/timeline.ts";

/** The newest so many tasks, entries of the journal and lines of the log. */
const MOST_LINES = 300;
/** A gap is shown from this length on. */
const SILENCE_MS = 60_000;

/** All that is known of what happened to a worker. */
export interface WorkerHistory {
  readonly worker: SeenWorker;
  readonly tasks: readonly HeldTask[];
  readonly events: readonly EventRow[];
  readonly logs: readonly LogRow[];
}

/** Shows what happened to a worker, the oldest first. @throws ClientError when there is none, or more than one */
export async function showWorkerTimeline(context: Context, given: string, { json }: JsonOptions): Promise<void> {
  const { output } = context;
  const worker = await findWorker(context, given);
  const database = await context.connections.database();
  const { id, pool } = worker;
  const [tasks, events, logs] = await Promise.all([
    fleetStore(database).lastHeld(id, MOST_LINES),
    pool === null ? [] : createEventReader(database, { pool, worker: id }).latest(MOST_LINES),
    createLogReader(database, { worker: id }).latest(MOST_LINES),
  ]);
  const entries = workerTimeline({ worker, tasks, events, logs }, Date.now());
  if (json) {
    output.printJson({ id, status: worker.status, entries });
    return;
  }
  const gone = worker.gone_at === null ? "" : ", gone";
  output.print([
    `${output.style("bold", id)} ${worker.status ?? "-"}${gone}`,
    ...renderTimeline(entries, output.style),
  ]);
}

export function workerTimeline({ worker, tasks, events, logs }: WorkerHistory, nowMs: number): TimelineEntry[] {
  const known = inOrder([
    ...lifeOf(worker),
    ...tasks.flatMap(taskEntries),
    ...events.map(({ at, kind, reason, task_id: task }) => ({
      at,
      kind,
      text: reason,
      ...(task !== null && { task }),
    })),
    ...logs.map(({ timestamp, log_level: level, source_type: source, message, task_id: task }) => ({
      at: timestamp,
      kind: "log",
      text: `${source === "worker" ? "" : "pool: "}${level === "INFO" || level === "DEBUG" ? "" : `${level}: `}${message}`,
      ...(task !== null && { task }),
    })),
  ]);
  return inOrder([...known, ...silences(worker, known, nowMs)]);
}

/** What its row says: its boot, its last sign of life and its end. */
function lifeOf(worker: SeenWorker): TimelineEntry[] {
  const { boot_stage: stage, ready_at: ready, instance_type: gpu, created_at: created } = worker;
  const booted =
    ready === null ? "" : `, ${formatDuration(Date.parse(ready) - Date.parse(created))} after it was booked`;
  const machine = gpu === null ? "" : `: ${gpu}`;
  const moments: [string | null, string, string][] = [
    [created, "booked", `by ${worker.origin === "pool" ? "the pool" : worker.origin}${machine}`],
    [worker.pod_created_at, "pod", `${worker.pod_id ?? "its pod"} bills from here`],
    [ready === null ? worker.boot_stage_at : null, "boot", `stage ${stage}`],
    [ready, "ready", `its first heartbeat${booted}`],
    [worker.last_heartbeat, "heartbeat", "the last one"],
    [worker.failed_at, "failed", describeReason(worker)],
    [worker.failed_at === null ? worker.terminating_at : null, "leaves", describeReason(worker)],
    [worker.deleted_at, "deleted", "its pod bills no more"],
    [
      worker.gone_at,
      "gone",
      worker.cost_usd === null ? "its cost is not known" : `it cost $${worker.cost_usd.toFixed(4)}`,
    ],
  ];
  return moments.flatMap(([at, kind, text]) => (at === null ? [] : [{ at, kind, text }]));
}

function describeReason({ status_reason: reason, failed_on: evidence }: SeenWorker): string {
  const why = reason ?? "no reason was given";
  return evidence === null ? why : `${why} (${evidence})`;
}

function taskEntries(held: HeldTask): TimelineEntry[] {
  const { task_id: task, attempt, started_at: from, ended_at: to, cause, error, tasks } = held;
  const name = `${task.slice(0, 8)}${tasks === null ? "" : ` (${tasks.task_type})`}`;
  const took = to === null ? "" : formatDuration(Date.parse(to) - Date.parse(from));
  const end = `${name} after ${took}${error === null ? "" : `: ${error}`}`;
  return [
    { at: from, kind: "task", text: `${name}, attempt ${attempt}`, task, attempt },
    ...(to === null ? [] : [{ at: to, kind: cause ?? "ended", text: end, task, attempt }]),
  ];
}

/** Gaps in which nothing is known of it, while it was ready and not gone. */
function silences(worker: SeenWorker, known: readonly TimelineEntry[], nowMs: number): TimelineEntry[] {
  if (worker.ready_at === null) {
    return [];
  }
  const beganMs = Date.parse(worker.ready_at);
  const endMs = worker.gone_at === null ? nowMs : Date.parse(worker.gone_at);
  const times = [...known.map(({ at }) => Date.parse(at)), endMs].filter((at) => at >= beganMs && at <= endMs);
  return times.flatMap((atMs, index) => {
    const gapMs = (times[index + 1] ?? atMs) - atMs;
    return gapMs < SILENCE_MS
      ? []
      : [
          {
            at: new Date(atMs).toISOString(),
            kind: "silence",
            text: `nothing was recorded for ${formatDuration(gapMs)}`,
          },
        ];
  });
}
