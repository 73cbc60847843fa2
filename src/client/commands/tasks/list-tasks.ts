import { listTasks } from "../../../supabase/reports/task-list.ts";
import type { ListedTask, ListedTaskFilter, TaskStatus } from "../../../supabase/task-store.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import { localFile, withLocalFile } from "../../local/local-file.ts";
import { localTasks } from "../../local/local-tasks.ts";
import type { LocalOptions, PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import { formatDuration } from "../../render/durations.ts";
import { cut, plain, type Style } from "../../render/output.ts";
import type { Colour } from "../../render/rows.ts";
import { renderTable } from "../../render/table.ts";
import { TASK_STATUSES } from "./task-flags.ts";

export interface ListOptions extends PoolOptions, LocalOptions {
  readonly status?: readonly TaskStatus[];
  readonly type?: string;
  readonly project?: string;
  /** In seconds. */
  readonly since?: number;
  readonly limit: number;
  readonly failedFirst?: boolean;
}

const OTHERS_WIDTH = 90;

const COLOURS: Readonly<Record<string, Colour>> = {
  "In Progress": "cyan",
  Complete: "green",
  Failed: "red",
  Cancelled: "dim",
};

/** Lists tasks, the newest first; without --pool those of all pools. @throws ClientError when there is no such pool */
export async function showTasks(context: Context, options: ListOptions): Promise<void> {
  const { status, type, project, since, limit } = options;
  const filter = {
    limit,
    ...(status && { status }),
    ...(type !== undefined && { type }),
    ...(project !== undefined && { projectId: project }),
    ...(since !== undefined && { since: new Date(Date.now() - since * 1000).toISOString() }),
  };
  const file = localFile(context, options);
  const tasks =
    file === null
      ? await tasksOfDatabase(context, options, filter)
      : await withLocalFile(file, false, async (database) => {
          const store = localTasks(database);
          return await inParts(filter, options.failedFirst === true, async (part) => store.list(part));
        });
  show(context, options, tasks);
}

type Filter = ListedTaskFilter & { readonly limit: number };

/** With `failedFirst` the newest failed tasks, then the newest others. */
async function inParts(
  filter: Filter,
  failedFirst: boolean,
  list: (part: Filter) => Promise<ListedTask[]>,
): Promise<ListedTask[]> {
  if (!failedFirst) {
    return await list(filter);
  }
  const wanted = filter.status ?? TASK_STATUSES;
  const failed = wanted.includes("Failed") ? await list({ ...filter, status: ["Failed"] }) : [];
  const status = wanted.filter((each) => each !== "Failed");
  const limit = filter.limit - failed.length;
  return status.length === 0 || limit === 0 ? failed : [...failed, ...(await list({ ...filter, status, limit }))];
}

async function tasksOfDatabase(context: Context, options: ListOptions, filter: Filter): Promise<ListedTask[]> {
  const database = await context.connections.database();
  const pool = options.pool === undefined ? undefined : poolName(context, options);
  const ofPool = { ...filter, ...(pool !== undefined && { pool }) };
  const tasks = await inParts(ofPool, options.failedFirst === true, (part) => listTasks(database, part));
  if (tasks.length === 0 && pool !== undefined && (await poolStore(database).find(pool)) === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  return tasks;
}

function show({ output }: Context, { json, limit, failedFirst }: ListOptions, tasks: readonly ListedTask[]): void {
  if (json) {
    output.printJson(tasks);
  } else if (tasks.length === 0) {
    output.note("no task matches");
  } else {
    output.print(renderTasks(tasks, Date.now(), output.size().columns, output.style));
    if (tasks.length === limit) {
      output.note(`${failedFirst ? "the first" : "the newest"} ${limit}; --limit shows more`);
    }
  }
}

export function renderTasks(tasks: readonly ListedTask[], nowMs: number, width: number, style: Style): string[] {
  return renderTable(
    [
      { title: "TASK", value: ({ id }) => id.slice(0, 8) },
      {
        title: "STATUS",
        value: describeStatus,
        paint: ({ status }, text) => (COLOURS[status ?? ""] ? style(COLOURS[status ?? ""] ?? "dim", text) : text),
      },
      { title: "TYPE", value: ({ task_type: type }) => plain(type), dropOrder: 1 },
      { title: "POOL", value: ({ pool }) => plain(pool ?? "-"), dropOrder: 4 },
      { title: "TRIES", value: ({ attempts }) => String(attempts ?? 0), align: "right", dropOrder: 3 },
      { title: "AGE", value: ({ created_at: at }) => ageOf(at, nowMs), align: "right" },
      { title: "RAN", value: (task) => runTime(task, nowMs), align: "right", dropOrder: 2 },
      { title: "WORKER", value: ({ worker_id: worker }) => plain(worker ?? "-"), dropOrder: 5 },
      {
        title: "RESULT",
        // A long one would push the other columns out.
        value: (task) =>
          cut(plain(task.error_message ?? task.output_location ?? ""), Math.max(20, width - OTHERS_WIDTH)),
      },
    ],
    tasks,
    width,
    style,
  );
}

/** With what a queued task waits for. */
export function describeStatus({ status, gate }: Pick<ListedTask, "status" | "gate">): string {
  return status === "Queued" && gate !== "open" ? `Queued (${gate})` : (status ?? "-");
}

function ageOf(at: string | null, nowMs: number): string {
  return at === null ? "-" : formatDuration(nowMs - Date.parse(at));
}

function runTime({ generation_started_at: from, generation_processed_at: to, status }: ListedTask, nowMs: number) {
  if (from === null || (to === null && status !== "In Progress")) {
    return "-";
  }
  return formatDuration((to === null ? nowMs : Date.parse(to)) - Date.parse(from));
}
