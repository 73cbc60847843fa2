import { join } from "node:path";
import type { LocalDatabase } from "../../task-file/local-database.ts";
import { insertTasks, missingTasks } from "../../task-file/insert.ts";
import { publicFolder } from "../../task-file/public-folder.ts";
import { endedAttempts, listTasks, type LocalTaskRow, tasksWithIds, tasksWithPrefix } from "../../task-file/read.ts";
import { cancelTask, reopenTask } from "../../task-file/reopen.ts";
import { parsed } from "../../task-file/rows.ts";
import type {
  Attempt,
  ListedTask,
  ListedTaskFilter,
  NewTask,
  Retried,
  TaskRow,
  TaskState,
} from "../../supabase/task-store.ts";
import type { TypeTable } from "../../task-types/own-types.ts";
import { findTaskType } from "../../task-types/task-types.ts";
import { ClientError, EXIT } from "../errors.ts";

/** A task in a file has no pool. */
const POOL = "local";

/** The tasks of a file in the shapes of the database's. Every call throws LocalDatabaseError. */
export interface LocalTasks {
  /** All of them or none. @param find the types with their aliases. @throws ClientError when one depends on a task that is not there */
  submit(
    tasks: readonly Pick<NewTask, "id" | "task_type" | "params" | "priority" | "project_id" | "dependant_on">[],
    find?: TypeTable["find"],
  ): void;
  /** Answers whether the task had not ended before. */
  cancel(id: string): boolean;
  /** A failed task comes back with all that its failing failed. */
  retry(id: string, reason: string): Retried;
  list(filter: ListedTaskFilter): ListedTask[];
  tasksWithPrefix(prefix: string, limit: number): ListedTask[];
  states(ids: readonly string[]): Promise<TaskState[]>;
  /** With its parameters and its result. */
  find(id: string): (ListedTask & Pick<TaskRow, "params" | "result_data" | "failed_by">) | null;
  attempts(id: string): Attempt[];
}

export function localTasks(database: LocalDatabase): LocalTasks {
  const folder = publicFolder(database.file);
  return {
    submit(tasks, find = findTaskType) {
      const own = new Set(tasks.map(({ id }) => id));
      const named = tasks.flatMap(({ dependant_on: id }) => (id == null || own.has(id) ? [] : [id]));
      const [missing] = missingTasks(database, named);
      if (missing !== undefined) {
        throw new ClientError(EXIT.usage, `dependant_on: there is no task ${missing}`, "Nothing was submitted.");
      }
      const rows = tasks.map(({ id, task_type: type, params, priority, project_id: project, dependant_on: on }) => ({
        id,
        task_type: find(type)?.name ?? type,
        params: params as object,
        priority: priority ?? 0,
        ...(project != null && { project_id: project }),
        ...(on != null && { dependant_on: on }),
      }));
      insertTasks(database, rows, Date.now());
    },
    list: ({ limit = 100_000, ...filter }) => listTasks(database, { ...filter, limit }).map((row) => listed(row)),
    tasksWithPrefix: (prefix, limit) => tasksWithPrefix(database, prefix.toLowerCase(), limit).map(listed),
    states: (ids) =>
      Promise.resolve(
        tasksWithIds(database, ids).map(({ id, status, output_location: location, error_message: error }) => ({
          id,
          status,
          url: location?.startsWith("files/") ? join(folder, location) : location,
          error,
          pool: POOL,
        })),
      ),
    find(id) {
      const [row] = tasksWithIds(database, [id]);
      const { params = null, result_data: result = null, failed_by: failedBy = null } = row ?? {};
      return row === undefined
        ? null
        : {
            ...listed(row),
            params: parsed(params) as TaskRow["params"],
            result_data: parsed(result) as TaskRow["result_data"],
            failed_by: failedBy,
          };
    },
    attempts: (id) => attemptsOf(database, id),
    cancel: (id) => cancelTask(database, id, Date.now()),
    retry: (id, reason) => reopenTask(database, id, reason, Date.now()),
  };
}

function listed(row: LocalTaskRow): ListedTask {
  const { id, task_type, gate, project_id, worker_id, priority, attempts, dependant_on, output_location } = row;
  return {
    id,
    task_type,
    status: row.status,
    gate,
    pool: POOL,
    project_id,
    worker_id,
    priority,
    attempts,
    created_at: row.created_at ?? "",
    updated_at: row.updated_at ?? "",
    generation_started_at: row.generation_started_at,
    generation_processed_at: row.generation_processed_at,
    dependant_on,
    output_location,
    error_message: row.error_message,
  };
}

function attemptsOf(database: LocalDatabase, id: string): Attempt[] {
  const ended = endedAttempts(database, id).map((each) => ({
    attempt: each.attempt,
    worker_id: each.worker_id ?? "-",
    started_at: new Date(each.started_at_ms ?? each.ended_at_ms).toISOString(),
    ended_at: new Date(each.ended_at_ms).toISOString(),
    cause: each.cause as string | null,
    error: each.error,
    claimable_at: null,
    progress: each.progress,
    progress_message: null,
    progress_at: null,
  }));
  const [task] = tasksWithIds(database, [id]);
  if (task?.lease_token == null || task.leased_at_ms === null) {
    return ended;
  }
  const open = {
    attempt: task.leases,
    worker_id: task.worker_id ?? "-",
    started_at: new Date(task.leased_at_ms).toISOString(),
    ended_at: null,
    cause: null,
    error: null,
    claimable_at: null,
    progress: task.progress,
    progress_message: task.progress_message,
    progress_at: task.progress_at_ms === null ? null : new Date(task.progress_at_ms).toISOString(),
  };
  return [...ended, open];
}
