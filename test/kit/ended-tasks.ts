import type { Queue } from "./queue.ts";

export interface EndedTask {
  /** From the claim to the end; below 0 as after a clock was set back. */
  readonly seconds: number;
  /** Default: completed. */
  readonly cause?: string;
  readonly params?: object;
  /** Default: a second before the claim. */
  readonly claimableAt?: Date;
}

/**
 * Adds tasks that this worker has done, one ending a millisecond after the other. No trigger runs.
 * @param agoSec when the last one ended.
 */
export async function addEnded(
  queue: Queue,
  pool: string,
  worker: string,
  tasks: readonly EndedTask[],
  agoSec = 60,
): Promise<void> {
  const lastMs = Date.now() - agoSec * 1_000;
  const rows = tasks.map(({ seconds, cause = "completed", params = {}, claimableAt }, n) => {
    const endedMs = lastMs - (tasks.length - 1 - n);
    const startedMs = endedMs - seconds * 1_000;
    const times = {
      claimable: claimableAt ?? new Date(startedMs - 1_000),
      started: new Date(startedMs),
      ended: new Date(endedMs),
    };
    return { cause, params, ...times };
  });
  const session = await queue.session();
  await session.rows("begin");
  await session.rows("set local session_replication_role = replica");
  await session.rows(
    `with made as materialized (
       select gen_random_uuid() as id, gen_random_uuid() as token, cause, params, claimable, started, ended from jsonb_to_recordset(
         $3::jsonb) as t(cause text, params jsonb, claimable timestamptz, started timestamptz, ended timestamptz)),
     done as (
       insert into tasks (id, task_type, pool, project_id, status, worker_id, params, leases, lease_token, claimable_at, leased_at,
         lease_ended_at)
       select id, 'generate_video', $1, '00000000-0000-0000-0000-000000000000',
         case cause when 'completed' then 'Complete' else 'Failed' end, $2, params, 1,
         case cause when 'completed' then token end, claimable, started, case cause when 'completed' then ended end from made)
     insert into ended_attempts (task_id, attempt, worker_id, lease_token, claimable_at, started_at, ended_at, cause)
     select id, 1, $2, token, claimable, started, ended, cause from made where cause <> 'completed'`,
    [pool, worker, JSON.stringify(rows)],
  );
  await session.rows("commit");
  await session.end();
}
