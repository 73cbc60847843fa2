import { isoText, recordAttempt } from "./attempts.ts";
import type { LocalDatabase } from "./local-database.ts";
import { insertTask } from "./insert.ts";
import { findTask, type LocalTask, parsed } from "./rows.ts";
import { settle } from "./settle.ts";

export interface SubTaskRow {
  readonly id: string;
  readonly taskType: string;
  readonly params: object;
  readonly dependantOn: string | null;
  /** It waits for all other sub-tasks of its parent. */
  readonly afterSiblings?: boolean;
}

/** The sub-tasks or the result task do not fit the task; nothing was written. */
export class SubTaskError extends Error {
  override readonly name = "SubTaskError";
}

/**
 * Writes the sub-tasks, which get the task's project and priority, and lets the task wait for them, in the caller's transaction.
 * A row of the same parent stays as it is.
 * @throws SubTaskError
 */
export function delegateTask(
  database: LocalDatabase,
  task: LocalTask,
  subTasks: readonly SubTaskRow[],
  resultTaskId: string,
  nowMs: number,
): void {
  for (const [place, row] of subTasks.entries()) {
    const problem = problemOf(database, task, subTasks, place);
    if (problem !== null) {
      throw new SubTaskError(`sub-task ${place} (${row.id}): ${problem}`);
    }
  }
  const behind = findCircle(database, task, subTasks);
  if (behind !== null) {
    throw new SubTaskError(`sub-task ${behind}: dependant_on: it would wait for itself, over other sub-tasks`);
  }
  for (const row of subTasks.filter(({ id }) => findTask(database, id) === undefined)) {
    insertTask(database, {
      id: row.id,
      task_type: row.taskType,
      params: { ...row.params, orchestrator_task_id_ref: task.id },
      dependant_on: row.dependantOn,
      parent_id: task.id,
      project_id: task.project_id,
      priority: task.priority,
      after_siblings: row.afterSiblings === true,
    });
  }
  if (findTask(database, resultTaskId)?.parent_id !== task.id) {
    throw new SubTaskError(`result task ${resultTaskId} is no sub-task of task ${task.id}`);
  }
  recordAttempt(database, task, "delegated", null, nowMs);
  const result = { ...(parsed(task.result_data) as object | null), result_task_id: resultTaskId };
  database.run(
    `update tasks set delegated_at_ms = ?, lease_token = null, leased_at_ms = null, worker_id = null, attempts = attempts - 1,
       result_data = ?, updated_at = ? where id = ?`,
    nowMs,
    JSON.stringify(result),
    isoText(nowMs),
    task.id,
  );
  settle(database, nowMs);
}

/** Null: it can be written. */
function problemOf(
  database: LocalDatabase,
  task: LocalTask,
  subTasks: readonly SubTaskRow[],
  place: number,
): string | null {
  const { id, dependantOn, afterSiblings } = subTasks[place] as SubTaskRow;
  const present = findTask(database, id);
  const before = subTasks.slice(0, place);
  if (before.some((each) => each.id === id)) {
    return "this id is given twice";
  }
  if (present !== undefined && present.parent_id !== task.id) {
    return "this id is taken by another task";
  }
  const isSibling = (other: string) =>
    subTasks.some((each) => each.id === other) || findTask(database, other)?.parent_id === task.id;
  if (dependantOn !== null && !isSibling(dependantOn)) {
    return `it depends on ${dependantOn}, which is no sub-task of task ${task.id}`;
  }
  if (afterSiblings && (dependantOn !== null || before.some((each) => each.afterSiblings))) {
    return "it cannot wait for all its siblings: it waits for one of them, or another waits for all";
  }
  return null;
}

/** The id of a sub-task that waits for itself or for the one that waits for all its siblings; null: there is none. */
function findCircle(database: LocalDatabase, task: LocalTask, subTasks: readonly SubTaskRow[]): string | null {
  const present = database.all<Pick<LocalTask, "id" | "dependant_on" | "after_siblings">>(
    "select id, dependant_on, after_siblings from tasks where parent_id = ?",
    task.id,
  );
  const awaited = new Map(subTasks.map(({ id, dependantOn }) => [id, dependantOn]));
  present.forEach(({ id, dependant_on: dependantOn }) => awaited.set(id, dependantOn));
  const last = new Set(subTasks.filter(({ afterSiblings }) => afterSiblings).map(({ id }) => id));
  present.filter(({ after_siblings: waits }) => waits === 1).forEach(({ id }) => last.add(id));
  const isFree = new Set<string>();
  for (const id of awaited.keys()) {
    const way = [id];
    for (let next = awaited.get(id); next != null && !isFree.has(next); next = awaited.get(next)) {
      if (way.includes(next) || last.has(next)) {
        return id;
      }
      way.push(next);
    }
    way.filter((each) => !last.has(each)).forEach((each) => isFree.add(each));
  }
  return null;
}
