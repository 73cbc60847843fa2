import { type Attempt, type TaskRow, taskStore } from "../../../supabase/task-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { findTask } from "../../find-by-prefix.ts";
import type { JsonOptions } from "../../options.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import { labelled } from "../../render/rows.ts";
import { renderTable } from "../../render/table.ts";
import { describeStatus } from "./list-tasks.ts";

interface ShownTask {
  readonly task: TaskRow;
  readonly attempts: readonly Attempt[];
  readonly costUsd: number | null;
}

/** Shows one task with its attempts. @throws ClientError when there is none, or more than one */
export async function showTask(context: Context, given: string, { json }: JsonOptions): Promise<void> {
  const { output } = context;
  const { id } = await findTask(context, given);
  const store = taskStore(await context.connections.database());
  const [task, attempts, costUsd] = await Promise.all([store.find(id), store.attempts(id), store.cost(id)]);
  if (task === null) {
    throw new ClientError(EXIT.notFound, `task ${id} was deleted meanwhile`);
  }
  if (json) {
    output.printJson({ ...task, attempt_rows: attempts, cost_usd: costUsd });
  } else {
    output.print(renderTask({ task, attempts, costUsd }, Date.now(), output.size().columns, output.style).join("\n"));
  }
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
    row("cost", costUsd === null ? "not known" : `$${costUsd.toFixed(4)}, idle time of its workers included`),
    row("params", plain(JSON.stringify(task.params))),
    "",
    ...(attempts.length === 0 ? ["no worker has had it"] : attemptTable(attempts, nowMs, width, style)),
  ];
}

function attemptTable(attempts: readonly Attempt[], nowMs: number, width: number, style: Style): string[] {
  const endMs = ({ ended_at: ended }: Attempt) => (ended === null ? nowMs : Date.parse(ended));
  return renderTable(
    [
      { title: "TRY", value: ({ attempt }) => String(attempt), align: "right" },
      { title: "WORKER", value: ({ worker_id: worker }) => plain(worker) },
      { title: "BEGAN (UTC)", value: ({ started_at: at }) => new Date(at).toISOString().slice(0, 19), dropOrder: 1 },
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
