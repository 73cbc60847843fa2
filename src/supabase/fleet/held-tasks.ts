import type { Database } from "../client.ts";
import { readAll } from "../requests.ts";
import { TABLES } from "../tables.ts";

interface HeldNow {
  readonly task_id: string;
  readonly worker_id: string;
  readonly progress: number | null;
  readonly started_at: string;
  readonly task_type: string;
}

/**
 * Adds to each worker the task that it holds. The rows are in the database's order of their ids, so one range of ids
 * covers them all, however many they are.
 */
export async function withHeldTasks<Worker extends { readonly id: string }>(
  { [TABLES]: client }: Database,
  workers: readonly Worker[],
): Promise<(Worker & { readonly held: HeldNow | null })[]> {
  const [first, last] = [workers[0], workers.at(-1)];
  if (first === undefined || last === undefined) {
    return [];
  }
  const columns = "task_id:id, worker_id, progress, started_at:leased_at, task_type";
  const held = await readAll<HeldNow>("read held tasks", (count, before) => {
    const open = client.from("tasks").select(columns).not("lease_token", "is", null).is("lease_ended_at", null);
    const within = open.lte("worker_id", last.id);
    const after = before === undefined ? within.gte("worker_id", first.id) : within.gt("worker_id", before.worker_id);
    return after.order("worker_id").limit(count).overrideTypes<HeldNow[], { merge: false }>();
  });
  const byWorker = new Map(held.map((task) => [task.worker_id, task]));
  return workers.map((worker) => ({ ...worker, held: byWorker.get(worker.id) ?? null }));
}
