import { createEventReader, type EventRow } from "../../../supabase/history/event-reader.ts";
import { createLogReader, type LogRow } from "../../../supabase/log-reader.ts";
import { type Attempt, type ListedTask, type SubTask, taskStore } from "../../../supabase/task-store.ts";
import type { Context } from "../../context.ts";
import { findTask, findTaskIn } from "../../find-by-prefix.ts";
import { localFile, withLocalFile } from "../../local/local-file.ts";
import { localTasks } from "../../local/local-tasks.ts";
import type { JsonOptions, LocalOptions } from "../../options.ts";
import { formatDuration } from "../../render/durations.ts";
import { counted } from "../../render/rows.ts";
import { inOrder, renderTimeline, type TimelineEntry } from "../../render/timeline.ts";
import { describeStatus } from "./list-tasks.ts";

/** The newest so many of the journal, and of the log. */
const MOST_LINES = 300;
const MOST_SUB_TASKS = 100;
/** Below it, a task could be claimed as soon as it was there. */
const AT_ONCE_MS = 100;

/** All that is known of what happened to a task. */
export interface TaskHistory {
  readonly task: ListedTask;
  readonly attempts: readonly Attempt[];
  readonly events: readonly EventRow[];
  readonly logs: readonly LogRow[];
  readonly subTasks: readonly SubTask[];
}

/** Shows what happened to a task, the oldest first. @throws ClientError when there is none, or more than one */
export async function showTaskTimeline(
  context: Context,
  given: string,
  options: JsonOptions & LocalOptions,
): Promise<void> {
  const { output } = context;
  const file = localFile(context, options);
  const history = file === null ? await readHistory(context, given) : await readLocalHistory(file, given);
  const entries = taskTimeline(history);
  const { task } = history;
  if (options.json) {
    output.printJson({ id: task.id, status: task.status, entries });
    return;
  }
  output.print([`${output.style("bold", task.id)} ${describeStatus(task)}`, ...renderTimeline(entries, output.style)]);
  if (history.subTasks.length === MOST_SUB_TASKS) {
    output.note(`the first ${MOST_SUB_TASKS} sub-tasks; later ones are left out`);
  }
}

async function readHistory(context: Context, given: string): Promise<TaskHistory> {
  const task = await findTask(context, given);
  const database = await context.connections.database();
  const store = taskStore(database);
  const [attempts, events, logs, subTasks] = await Promise.all([
    store.attempts(task.id),
    task.pool === null ? [] : createEventReader(database, { pool: task.pool, task: task.id }).latest(MOST_LINES),
    createLogReader(database, { task: task.id }).latest(MOST_LINES),
    store.subTasks(task.id, MOST_SUB_TASKS),
  ]);
  return { task, attempts, events, logs, subTasks };
}

async function readLocalHistory(file: string, given: string): Promise<TaskHistory> {
  return await withLocalFile(file, false, async (database) => {
    const store = localTasks(database);
    const task = await findTaskIn(given, (limit) => Promise.resolve(store.tasksWithPrefix(given, limit)));
    return { task, attempts: store.attempts(task.id), events: [], logs: [], subTasks: [] };
  });
}

export function taskTimeline({ task, attempts, events, logs, subTasks }: TaskHistory): TimelineEntry[] {
  return inOrder([
    { at: task.created_at, kind: "created", text: describeCreation(task) },
    ...attempts.flatMap((attempt, index) => attemptEntries(task, attempt, attempts[index - 1])),
    ...waiting(task, attempts),
    ...subTasks.flatMap(subTaskEntries),
    ...events.map(({ at, kind, reason, worker_id: worker }) => ({
      at,
      kind,
      text: reason,
      ...(worker !== null && { worker }),
    })),
    ...logs.map(({ timestamp, log_level: level, message, worker_id: worker }) => ({
      at: timestamp,
      kind: "log",
      text: level === "INFO" || level === "DEBUG" ? message : `${level}: ${message}`,
      ...(worker !== null && { worker }),
    })),
    ...ending(task),
  ]);
}

function describeCreation({ task_type: type, pool, priority, dependant_on: on }: ListedTask): string {
  return `${type}, pool ${pool ?? "-"}, priority ${priority ?? 0}${on === null ? "" : `, after task ${on.slice(0, 8)}`}`;
}

function attemptEntries(task: ListedTask, each: Attempt, before: Attempt | undefined): TimelineEntry[] {
  const { attempt, worker_id: worker, started_at: from, ended_at: to, claimable_at: claimable } = each;
  const about = { attempt, worker };
  const readyMs = claimable === null ? null : Date.parse(claimable);
  const earlierMs = Date.parse(before?.ended_at ?? task.created_at);
  const admitted =
    claimable === null || (readyMs ?? 0) - earlierMs < AT_ONCE_MS
      ? []
      : [{ at: claimable, kind: "admitted", text: before === undefined ? "may be claimed" : "may be claimed again" }];
  const waitedMs = Date.parse(from) - (readyMs ?? earlierMs);
  const begun = `${attempt} on worker ${worker}, after a wait of ${formatDuration(waitedMs)}`;
  return [
    ...admitted,
    { at: from, kind: "attempt", text: begun, ...about },
    ...progressEntries(each),
    ...(to === null ? [] : [{ at: to, kind: each.cause ?? "ended", text: describeEnd(each, to), ...about }]),
  ];
}

function progressEntries(each: Attempt): TimelineEntry[] {
  const { attempt, worker_id: worker, progress, progress_at: at, progress_message: message, cause } = each;
  // What completes a task reports 100 % with its end.
  if (at === null || progress === null || cause === "completed") {
    return [];
  }
  const text = `${Math.round(progress * 100)} %${message === null ? "" : `: ${message}`}`;
  return [{ at, kind: "progress", text, attempt, worker }];
}

function describeEnd({ attempt, started_at: from, error }: Attempt, to: string): string {
  const took = formatDuration(Date.parse(to) - Date.parse(from));
  return `attempt ${attempt} ended after ${took}${error === null ? "" : `: ${error}`}`;
}

/** What a queued task waits for now. */
function waiting(task: ListedTask, attempts: readonly Attempt[]): TimelineEntry[] {
  const isHeld = attempts.at(-1)?.ended_at === null;
  if (task.status !== "Queued" || isHeld) {
    return [];
  }
  const words: Readonly<Record<string, string>> = {
    open: "waits for a worker",
    held: "waits for its project's limit or pause",
    blocked: "waits for another task",
    delayed: "waits: it was handed back without progress",
  };
  return [{ at: task.updated_at, kind: "queued", text: words[task.gate] ?? `waits (${task.gate})` }];
}

function subTaskEntries(child: SubTask): TimelineEntry[] {
  const { id, task_type: type, created_at: created, generation_processed_at: ended, status } = child;
  const name = `${id.slice(0, 8)} (${type})`;
  return [
    { at: created, kind: "sub-task", text: `${name} created`, task: id },
    ...(ended === null ? [] : [{ at: ended, kind: "sub-task", text: `${name} ended: ${status}`, task: id }]),
  ];
}

function ending(task: ListedTask): TimelineEntry[] {
  const { status, created_at: created, error_message: error, output_location: location } = task;
  if (status === null || status === "Queued" || status === "In Progress") {
    return [];
  }
  const at = task.generation_processed_at ?? task.updated_at;
  const tries = counted(task.attempts ?? 0, "attempt", "attempts");
  const after = `${formatDuration(Date.parse(at) - Date.parse(created))} after it was created, ${tries} counted`;
  const more = status === "Complete" ? location : error;
  return [{ at, kind: status.toLowerCase(), text: more === null ? after : `${after}: ${more}` }];
}
