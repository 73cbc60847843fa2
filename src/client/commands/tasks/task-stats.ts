import { poolStore } from "../../../supabase/pool-store.ts";
import { readTaskStats, type TaskStats } from "../../../supabase/reports/task-stats.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { localFile } from "../../local/local-file.ts";
import { missingPool } from "../../missing-pool.ts";
import type { LocalOptions, PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import { counted } from "../../render/rows.ts";
import { type Column, renderTable } from "../../render/table.ts";
import type { ListOptions } from "./list-tasks.ts";

const DEFAULT_SINCE_SEC = 86_400;

export interface StatsOptions extends PoolOptions, LocalOptions, Pick<ListOptions, "status" | "failedFirst"> {
  readonly type?: string;
  readonly project?: string;
  /** In seconds; default: a day. */
  readonly since?: number;
  readonly limit: number;
}

type Kind = TaskStats["kinds"][number];
type Cause = TaskStats["causes"][number];

/** Shows how long tasks waited and ran, and why they failed. @throws ClientError when there is no such pool */
export async function showTaskStats(context: Context, options: StatsOptions): Promise<void> {
  const { output } = context;
  requireNoListOptions(context, options);
  const { type, project, since: sinceSec = DEFAULT_SINCE_SEC, limit } = options;
  const since = new Date(Date.now() - sinceSec * 1000).toISOString();
  const database = await context.connections.database();
  const pool = options.pool === undefined ? undefined : poolName(context, options);
  const stats = await readTaskStats(database, {
    since,
    limit,
    ...(pool !== undefined && { pool }),
    ...(type !== undefined && { type }),
    ...(project !== undefined && { projectId: project }),
  });
  if (stats.total.tasks === 0 && pool !== undefined && (await poolStore(database).find(pool)) === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  if (options.json) {
    output.printJson({ since, ...stats });
  } else if (stats.total.tasks === 0) {
    output.note(`no task of the last ${formatDuration(sinceSec * 1000)} matches; --since 30d looks further back`);
  } else {
    const { columns } = output.size();
    output.print([
      `${describeTotal(stats.total)} in the last ${formatDuration(sinceSec * 1000)}`,
      "",
      ...renderKinds(stats.kinds, columns, output.style),
      ...(stats.causes.length === 0 ? [] : ["", ...renderCauses(stats.causes, columns, output.style)]),
    ]);
    const left = [
      ...(stats.kindsLeftOut > 0 ? [counted(stats.kindsLeftOut, "kind", "kinds")] : []),
      ...(stats.causesLeftOut > 0 ? [counted(stats.causesLeftOut, "cause", "causes")] : []),
    ];
    if (left.length > 0) {
      output.note(`and ${left.join(" and ")} more; --limit shows more`);
    }
  }
}

/** `gpu-pool tasks` has options that mean nothing here. @throws ClientError */
function requireNoListOptions(context: Context, options: StatsOptions): void {
  if (localFile(context, options) !== null) {
    throw new ClientError(EXIT.usage, "tasks stats: a file of tasks has no statistics", "See gpu-pool tasks.");
  }
  if (options.status !== undefined || options.failedFirst) {
    throw new ClientError(
      EXIT.usage,
      "tasks stats counts every status: --status and --failed-first are of gpu-pool tasks",
    );
  }
}

function describeTotal(total: TaskStats["total"]): string {
  const { tasks, queued, running, complete, failed, cancelled } = total;
  const parts = { complete, failed, cancelled, running, queued };
  const counts = Object.entries(parts).flatMap(([word, n]) => (n > 0 ? [`${n} ${word}`] : []));
  return `${counted(tasks, "task", "tasks")} (${counts.join(", ")})`;
}

export function renderKinds(kinds: readonly Kind[], width: number, style: Style): string[] {
  const time = (title: string, value: (kind: Kind) => number | undefined, dropOrder?: number): Column<Kind> => ({
    title,
    value: (kind) => describeSec(value(kind)),
    align: "right",
    ...(dropOrder !== undefined && { dropOrder }),
  });
  const count = (title: string, value: (kind: Kind) => number, dropOrder?: number): Column<Kind> => ({
    title,
    value: (kind) => String(value(kind)),
    align: "right",
    ...(dropOrder !== undefined && { dropOrder }),
  });
  return renderTable(
    [
      { title: "TYPE", value: ({ taskType }) => plain(taskType) },
      { title: "MODEL", value: ({ model }) => plain(model ?? "-"), dropOrder: 1 },
      count("TASKS", ({ tasks }) => tasks),
      count("DONE", ({ complete }) => complete, 3),
      count("FAILED", ({ failed }) => failed),
      count("RETRIED", ({ triedAgain }) => triedAgain, 4),
      time("WAIT P50", ({ waitedSec }) => waitedSec?.[0], 2),
      time("P95", ({ waitedSec }) => waitedSec?.[1]),
      time("RUN P50", ({ ranSec }) => ranSec?.[0], 2),
      time("P95", ({ ranSec }) => ranSec?.[1]),
    ],
    kinds,
    width,
    style,
  );
}

/** Tenths of seconds below ten. */
function describeSec(sec: number | undefined): string {
  return sec === undefined ? "-" : sec < 10 ? `${sec.toFixed(1)}s` : formatDuration(sec * 1000);
}

export function renderCauses(causes: readonly Cause[], width: number, style: Style): string[] {
  return renderTable(
    [
      { title: "FAILED", value: ({ failed }) => String(failed), align: "right" },
      { title: "TRIES", value: ({ attempts }) => String(attempts), align: "right" },
      {
        title: "TYPE",
        value: ({ taskType, types }) => plain(types === 1 ? taskType : `${taskType} and ${types - 1} more`),
        dropOrder: 1,
      },
      { title: "LAST (UTC)", value: ({ lastAt }) => lastAt.slice(5, 16).replace("T", " "), dropOrder: 2 },
      { title: "EXAMPLE", value: ({ exampleId }) => exampleId.slice(0, 8) },
      { title: "CAUSE", value: ({ likeness }) => plain(likeness) },
    ],
    causes,
    width,
    style,
  );
}
