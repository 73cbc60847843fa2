import { type Attempt, type ListedTask, type TaskRow, taskStore } from "../../../supabase/task-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { findTask, findTaskIn } from "../../find-by-prefix.ts";
import { localFile, withLocalFile } from "../../local/local-file.ts";
import { localTasks } from "../../local/local-tasks.ts";
import type { JsonOptions, LocalOptions } from "../../options.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import { labelled } from "../../render/rows.ts";
import { renderTable } from "../../render/table.ts";
import { describeStatus } from "./list-tasks.ts";
import { isoTime } from "../../render/stored.ts";

interface ShownTask {
  readonly task: ListedTask & Pick<TaskRow, "params" | "failed_by">;
  readonly attempts: readonly Attempt[];
  /** Null: not known; undefined: it has none. */
  readonly costUsd?: number | null;
}

type ShowOptions = JsonOptions & LocalOptions;

/** Shows one task with its attempts. @throws ClientError when there is none, or more than one */
export async function showTask(context: Context, given: string, options: ShowOptions): Promise<void> {
  const { output } = context;
  const file = localFile(context, options);
  const shown = file === null ? await readTask(context, given) : await readLocalTask(file, given);
  const { task, attempts, costUsd } = shown;
  if (options.json) {
    output.printJson({ ...task, attempt_rows: attempts, ...(costUsd !== undefined && { cost_usd: costUsd }) });
  } else {
    output.print(renderTask(shown, Date.now(), output.size().columns, output.style));
  }
}

async function readTask(context: Context, given: string): Promise<ShownTask> {
  const { id } = await findTask(context, given);
  const store = taskStore(await context.connections.database());
  const [task, attempts, costUsd] = await Promise.all([store.find(id), store.attempts(id), store.cost(id)]);
  return { task: task ?? deleted(id), attempts, costUsd };
}

async function readLocalTask(file: string, given: string): Promise<ShownTask> {
  return await withLocalFile(file, false, async (database) => {
    const store = localTasks(database);
    const { id } = await findTaskIn(given, (limit) => Promise.resolve(store.tasksWithPrefix(given, limit)));
    return { task: store.find(id) ?? deleted(id), attempts: store.attempts(id) };
  });
}

function deleted(id: string): never {
  throw new ClientError(EXIT.notFound, `task ${id} was deleted meanwhile`);
}

export function renderTask({ task, attempts, costUsd }: ShownTask, nowMs: number, width: number, style: Style) {
  const row = labelled(width, style);
  const age = (at: string | null) => (at === null ? "-" : `${formatDuration(nowMs - Date.parse(at))} ago`);
  const optional = (label: string, value: string | null, colour?: "red") =>
    value === null ? [] : [row(label, plain(value), colour)];
  return [
    `${style("bold", task.id)} ${describeStatus(task)}`,
    row("type", plain(`${task.task_type}, pool ${task.pool ?? "-"}, priority ${task.priority ?? 0}`)),
    ...optional("project", task.project_id),
    row("created", `${age(task.created_at)}; changed ${age(task.updated_at)}`),
    ...optional("waits for", task.status === "Queued" ? task.dependant_on : null),
    ...optional("failed by", task.failed_by),
    ...optional("error", task.error_message, "red"),
    ...optional("result", task.output_location),
    ...(costUsd === undefined ? [] : [row("cost", describeCost(costUsd))]),
    row("params", plain(JSON.stringify(task.params))),
    "",
    ...(attempts.length === 0 ? ["no worker has had it"] : attemptTable(attempts, nowMs, width, style)),
  ];
}

function describeCost(costUsd: number | null): string {
  return costUsd === null ? "not known" : `$${costUsd.toFixed(4)}, idle time of its workers included`;
}

function attemptTable(attempts: readonly Attempt[], nowMs: number, width: number, style: Style): string[] {
  const endMs = ({ ended_at: ended }: Attempt) => (ended === null ? nowMs : Date.parse(ended));
  return renderTable(
    [
      { title: "TRY", value: ({ attempt }) => String(attempt), align: "right" },
      { title: "WORKER", value: ({ worker_id: worker }) => plain(worker) },
      { title: "BEGAN (UTC)", value: ({ started_at: at }) => isoTime(at).slice(0, 19), dropOrder: 1 },
      { title: "FOR", value: (each) => formatDuration(endMs(each) - Date.parse(each.started_at)), align: "right" },
      { title: "END", value: describeEnd },
      { title: "ERROR", value: ({ error, progress_message: message }) => plain(error ?? message ?? "") },
    ],
    attempts,
    width,
    style,
  );
}

function describeEnd({ cause, progress }: Attempt): string {
  return cause ?? `runs${progress === null ? "" : `, ${Math.round(progress * 100)}%`}`;
}
