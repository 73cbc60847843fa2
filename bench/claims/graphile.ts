import { EventEmitter, once } from "node:events";
import { performance } from "node:perf_hooks";
import { Logger, run, runMigrations, type WorkerEvents } from "graphile-worker";
import { type Bed, CLIENTS } from "./bed.ts";
import { LEFT_QUEUED, ROUND_TASKS } from "./work.ts";

const logger = new Logger(() => () => undefined);

export async function installGraphile({ databaseUrl }: Bed): Promise<void> {
  await runMigrations({ connectionString: databaseUrl, logger });
}

/**
 * One round of graphile-worker in the bed's own database, with its default settings (prepared statements, no local
 * queue, no batches of completions). Only these differ: the concurrency, the number of connections that its manual
 * recommends for it (two more), and no log. Its task does nothing.
 * @returns jobs per second, from the first search for a job to the last completion.
 */
export async function graphileRound({ databaseUrl, sql }: Bed): Promise<number> {
  await sql.query(
    `select count(*) from graphile_worker.add_jobs(array(
       select row('bench', '{"prompt": "a sunset over mountains", "num_frames": 81}', null, null, null, null, null, null)
         ::graphile_worker.job_spec
       from generate_series(1, $1 - (select count(*) from graphile_worker.jobs))))`,
    [ROUND_TASKS + LEFT_QUEUED],
  );
  await sql.query("vacuum analyze graphile_worker._private_jobs");
  const events = new EventEmitter() as WorkerEvents;
  let startedAt: number | undefined;
  let done = 0;
  events.on("worker:getJob:start", () => (startedAt ??= performance.now()));
  const enough = new Promise<number>((resolve) => {
    events.on("job:complete", () => {
      done += 1;
      if (done === ROUND_TASKS) {
        resolve(performance.now());
      }
    });
  });
  const runner = await run({
    connectionString: databaseUrl,
    concurrency: CLIENTS,
    maxPoolSize: CLIENTS + 2,
    noHandleSignals: true,
    events,
    logger,
    taskList: { bench: () => undefined },
  });
  const endedAt = await Promise.race([
    enough,
    once(events, "pool:fatalError").then(failed),
    runner.promise.then(failed),
  ]);
  await runner.stop();
  return (ROUND_TASKS * 1000) / (endedAt - (startedAt ?? Number.NaN));
}

function failed(): never {
  throw new Error("graphile-worker ended during a round");
}
