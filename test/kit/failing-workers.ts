import type { Queue } from "./queue.ts";

/** A worker's run of failures, as the observation shows it. */
export interface FailedRunRow {
  readonly tasks: number;
  readonly since_ms: number;
  readonly others_completed_ms: number | null;
}

export type FailingWorkers = ReturnType<typeof failingWorkers>;

/** Workers of one pool that fail and complete tasks, and the verdict on a sick one. */
export function failingWorkers(queue: Queue, pool: string) {
  /** The worker fails the first task in line. */
  async function failsNext(worker: string, permanent = true, error = "CUDA error"): Promise<string> {
    const lease = await queue.lease(worker);
    await queue.fail(lease, error, permanent);
    return lease.task_id;
  }
  return {
    failsNext,
    async failsTasks(worker: string, count: number, columns: object = {}): Promise<string[]> {
      await queue.addTasks(pool, count, { ...columns });
      const failed: string[] = [];
      while (failed.length < count) {
        failed.push(await failsNext(worker));
      }
      return failed;
    },
    async completes(worker: string, columns: object = {}): Promise<string> {
      const id = await queue.addTask(pool, { priority: 9, ...columns });
      await queue.finish(await queue.lease(worker));
      return id;
    },
    /** Moves what has happened so far into the past. */
    async later(minutes: number): Promise<void> {
      for (const [table, started, ended] of [
        ["tasks", "leased_at", "lease_ended_at"],
        ["ended_attempts", "started_at", "ended_at"],
      ]) {
        await queue.rows(
          `update ${table}
           set ${started} = ${started} - $2 * interval '1 minute', ${ended} = ${ended} - $2 * interval '1 minute'
           where worker_id in (select id from workers where pool = $1)`,
          [pool, minutes],
        );
      }
    },
    async runOf(worker: string, settings: Readonly<Record<string, unknown>> = {}): Promise<FailedRunRow | null> {
      const args = { p_pool: pool, p_known_fleet: null, p_full: false, p_poll_sec: 30, p_failures: true, ...settings };
      const { failed_runs: runs } = await queue.call<{ failed_runs: Record<string, FailedRunRow> }>(
        "pool_observe",
        args,
      );
      return runs[worker] ?? null;
    },
    end: (worker: string, run: FailedRunRow | null) =>
      queue.call<{ outcome: string }>("fail_worker", {
        p_worker_id: worker,
        p_lease_cause: "host_lost",
        p_reason: "it is sick",
        p_evidence: "failures",
        p_failed_since_ms: run === null ? null : run.since_ms,
      }),
    statuses: async (ids: readonly string[]): Promise<string[]> =>
      await Promise.all(ids.map(async (id) => (await queue.task(id)).status)),
  };
}
