import { expect } from "vitest";
import type { Queue } from "../queue.ts";

/** The types of the storm's tasks, and what its workers can do, by turns; null: everything. */
export const TYPES = ["generate_video", "t2v", "flux"];
export const ABILITIES: readonly (readonly string[] | null)[] = [null, ["t2v", "generate_video"], ["flux"]];

/** What the storm did and saw, for checks after it. */
export interface StormLog {
  readonly submitted: Set<string>;
  readonly deleted: Set<string>;
  /** The worker that each lease was given to, by task and attempt. */
  readonly leases: Map<string, string>;
  /** How often the completion of each task was answered "completed". */
  readonly completed: Map<string, number>;
  readonly counts: Map<string, number>;
  deadlocks: number;
}

/** How many deadlocks Postgres has counted in this database. */
export async function deadlocksOf(queue: Queue): Promise<number> {
  await queue.rows("select pg_stat_force_next_flush()");
  return (
    await queue.one<{ n: number }>(
      "select deadlocks::int as n from pg_stat_database where datname = current_database()",
    )
  ).n;
}

/** Fails unless every task is there, ended once, with the attempts that belong to its end. */
export async function checkTasks(queue: Queue, pool: string, log: StormLog): Promise<void> {
  const tasks = await queue.rows<{ id: string; status: string; wrong: string | null }>(
    `select t.id, t.status, case
       when t.status = 'Complete' and (a.completed <> 1 or a.last <> 'completed') then 'is complete, but not by its last attempt'
       when t.status <> 'Complete' and a.completed > 0 then 'has a completed attempt'
       when a.open > 0 then 'has an open attempt'
       when a.n <> a.highest then 'lacks an attempt'
       when t.reopened_at is null and t.attempts <> a.counted then format('counts %s attempts instead of %s', t.attempts, a.counted)
     end as wrong
     from tasks t, lateral (
       select count(*) as n, coalesce(max(attempt), 0) as highest,
         count(*) filter (where ended_at is null) as open,
         count(*) filter (where cause = 'completed') as completed,
         count(*) filter (where cause in ('completed', 'task_error', 'worker_died', 'stuck', 'cancelled')) as counted,
         (array_agg(cause order by attempt desc))[1] as last
       from task_attempts where task_id = t.id
     ) as a
     where t.pool = $1`,
    [pool],
  );
  expect(tasks.filter(({ wrong }) => wrong !== null)).toEqual([]);
  const there = new Set(tasks.map(({ id }) => id));
  expect([...log.submitted].filter((id) => !there.has(id) && !log.deleted.has(id))).toEqual([]);
  expect([...log.deleted].filter((id) => there.has(id))).toEqual([]);
  for (const { id, status } of tasks) {
    const answers = log.completed.get(id) ?? 0;
    expect({ id, status, answers }).toEqual({ id, status, answers: status === "Complete" ? 1 : 0 });
  }
}
