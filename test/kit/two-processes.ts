import { expect } from "vitest";
import { poolWorkflowId } from "../../src/contract/names.ts";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { killHard } from "./lifecycle.ts";
import type { TestStack } from "./stack.ts";

/** Ten seconds is what the server gives a process that died in the middle of a workflow task. */
export const POLL_SEC = 8;

/** Settings for `killInTurn`. A quarter of the second one is the time between two full passes of a watch that lives. */
export const TWO_PROCESSES = { ORCHESTRATOR_POLL_SEC: String(POLL_SEC), TASK_STUCK_TIMEOUT_SEC: "4" } as const;

/** Notes how long before each full pass the one before it was, by the database's clock. */
const NOTE_PASSES = `
  create table observed_passes (at timestamptz not null, before timestamptz);
  create function note_pass() returns trigger language plpgsql security definer as $$
  begin
    insert into observed_passes values (new.observed_at, old.observed_at);
    return null;
  end $$;
  create trigger note_pass after update of observed_at on pools for each row execute function note_pass();`;

/** A process that was told to stop. */
export interface Stop {
  readonly tookMs: number;
  readonly code: number | null;
}

/** A Temporal worker process that polls both task queues. */
async function startServing(stack: TestStack): Promise<ManagedProcess> {
  let polling = 0;
  const count = (line: string) => void (polling += line.includes('"state":"RUNNING"') ? 1 : 0);
  const started = stack.startTemporalWorker(count, { LOG_LEVEL: "info", ENABLE_DB_LOGGING: "false" });
  await expect.poll(() => polling, { interval: 50 }).toBe(2);
  return started;
}

/**
 * Runs two Temporal worker processes and ends the one that watches the pool, once by SIGKILL, the next time by SIGTERM, as
 * soon as another one serves in place of the last one and the pool has been observed since. At each end the pool is told
 * another size, so that decisions are under way.
 * @returns the two that serve now, and how those ended that were told to stop.
 */
export async function killInTurn(
  stack: TestStack,
  kills: number,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<{ readonly serving: readonly ManagedProcess[]; readonly stops: readonly Stop[] }> {
  await stack.rows(NOTE_PASSES);
  const stops: Stop[] = [];
  const serving = await Promise.all([startServing(stack), startServing(stack)]);
  await stack.startPool();
  await expect.poll(() => countPasses(stack)).toBeGreaterThan(0);
  for (let kill = 0; kill < kills; kill += 1) {
    const victim = await takeWatching(stack, serving);
    await stack.rows("select pool_set_intent($1, 'scale', null, $2)", [stack.pool, 1 + (kill % 3)]);
    await meanwhile();
    if (kill % 2 === 0) {
      await killHard(victim);
    } else {
      const beganMs = performance.now();
      process.kill(victim.pid, "SIGTERM");
      const { code } = await victim.exited;
      stops.push({ tookMs: performance.now() - beganMs, code });
    }
    const before = await countPasses(stack);
    serving.push(await startServing(stack));
    await expect.poll(() => countPasses(stack), { interval: 100 }).toBeGreaterThan(before);
  }
  return { serving, stops };
}

/** Takes out of `serving` the process that watches the pool now: nobody misses another one. */
async function takeWatching(stack: TestStack, serving: ManagedProcess[]): Promise<ManagedProcess> {
  const pool = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  const watching = async () => {
    const { pendingActivities } = (await pool.describe()).raw;
    const watch = pendingActivities?.find(({ activityType }) => activityType?.name === "watchPool");
    return serving.findIndex(({ pid }) => watch?.lastWorkerIdentity?.startsWith(`${pid}@`));
  };
  let index = -1;
  await expect.poll(async () => (index = await watching()), { interval: 50 }).toBeGreaterThanOrEqual(0);
  return serving.splice(index, 1)[0] as ManagedProcess;
}

async function countPasses(stack: TestStack): Promise<number> {
  const [row] = await stack.rows<{ n: number }>("select count(*)::int as n from observed_passes");
  return row?.n ?? 0;
}

/** The longest times between two full passes, in seconds, longest first. */
export async function longestGapsSec(stack: TestStack): Promise<number[]> {
  const gaps = await stack.rows<{ sec: number }>(
    "select extract(epoch from at - before)::float8 as sec from observed_passes where before is not null order by 1 desc limit 5",
  );
  return gaps.map(({ sec }) => sec);
}

/** No decision was journaled or carried out twice: each id once, each worker booked by one, never more than were wanted. */
export async function expectDecidedOnce(stack: TestStack): Promise<void> {
  const twice = await stack.rows(
    `select decision_id from pool_events where kind = 'decision' group by decision_id having count(*) > 1
     union all
     select w.decision_id from workers w where not exists (
       select from pool_events e where e.kind = 'decision' and e.decision_id = w.decision_id)
     union all
     select e.decision_id from pool_events e join workers w on w.decision_id = e.decision_id
     where e.kind = 'decision' group by e.decision_id, e.details
     having count(*) > (select sum((a ->> 'count')::int) from jsonb_array_elements(e.details -> 'actions') a
       where a ->> 'kind' = 'spawn')`,
  );
  expect(twice).toEqual([]);
}
