import type { LocalDatabase } from "./local-database.ts";
import { findTask } from "./rows.ts";
import { settle } from "./settle.ts";

export const DEFAULT_PROJECT = "00000000-0000-0000-0000-000000000000";

export interface NewLocalTask {
  readonly id: string;
  readonly task_type: string;
  readonly params: object;
  readonly priority?: number;
  readonly project_id?: string;
  readonly dependant_on?: string | null;
  readonly parent_id?: string;
  readonly after_siblings?: boolean;
}

/** Writes tasks in their order, all of them or none. @throws LocalDatabaseError */
export function insertTasks(database: LocalDatabase, tasks: readonly NewLocalTask[], nowMs: number): void {
  database.write(() => {
    for (const task of tasks) {
      insertTask(database, task);
    }
    settle(database, nowMs);
  });
}

/** In the caller's transaction. */
export function insertTask(database: LocalDatabase, task: NewLocalTask): void {
  const { id, task_type: type, params, priority = 0, project_id: project = DEFAULT_PROJECT } = task;
  database.run(
    `insert into tasks (id, task_type, params, status, priority, project_id, dependant_on, parent_id, after_siblings)
     values (?, ?, ?, 'Queued', ?, ?, ?, ?, ?)`,
    id,
    type,
    JSON.stringify(params),
    priority,
    project,
    task.dependant_on ?? null,
    task.parent_id ?? null,
    task.after_siblings === true ? 1 : 0,
  );
}

/** The ids among these that no task has. */
export function missingTasks(database: LocalDatabase, ids: readonly string[]): string[] {
  return ids.filter((id) => findTask(database, id) === undefined);
}
