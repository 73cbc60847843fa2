import { afterAll, beforeAll, expect, it } from "vitest";
import { expectDoneOnce, expectNoTwins, livingWorkers, LONG } from "../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack({
    env: { GPU_IDLE_TIMEOUT_SEC: "20", TASK_STUCK_TIMEOUT_SEC: "20", MIN_ACTIVE_GPUS: "0" },
  });
});
afterAll(() => stack?.close());

/** Every row of the schema as it is now, kept beside it. */
const BACK_UP = `
  create schema backup;
  do $$ declare t regclass; begin
    for t in select oid::regclass from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' loop
      execute format('create table backup.%I as table %s', (select relname from pg_class where oid = t), t);
    end loop;
  end $$`;

/** Puts these rows in place of those of now, as a restored database has them. */
const RESTORE = `
  set session_replication_role = replica;
  do $$ declare t regclass; cols text; begin
    for t in select oid::regclass from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' loop
      execute format('delete from %s', t);
      select string_agg(quote_ident(attname), ', ') into cols from pg_attribute
      where attrelid = t and attnum > 0 and not attisdropped and attgenerated = '';
      execute format('insert into %s (%s) overriding system value select %s from backup.%I',
        t, cols, cols, (select relname from pg_class where oid = t));
    end loop;
  end $$;
  set session_replication_role = origin`;

async function scale(target: number | null): Promise<void> {
  await stack.rows("select pool_set_intent($1, 'scale', null, $2, null, $3)", [stack.pool, target, target === null]);
}

async function active(): Promise<string[]> {
  return (await livingWorkers(stack)).filter(({ status }) => status === "active").map(({ id }) => id);
}

it("a database that was restored to an earlier state loses no task that it has and leaves no pod", async () => {
  const process1 = stack.startTemporalWorker();
  await stack.startPool();
  const early = await stack.submit(3);
  await expectDoneOnce(stack, early);
  await scale(2);
  await expect.poll(async () => (await active()).length).toBe(2);
  const running = await stack.submit(2, LONG);
  await expect.poll(async () => (await stack.rows("select 1 from open_leases")).length).toBe(2);
  const then = await active();
  await stack.rows(BACK_UP);

  await expectDoneOnce(stack, running);
  const lost = await stack.submit(2);
  await expectDoneOnce(stack, lost);
  await scale(1);
  await expect.poll(async () => (await livingWorkers(stack)).length).toBe(1);
  await scale(3);
  await expect.poll(async () => (await active()).length).toBe(3);
  const since = (await active()).filter((id) => !then.includes(id));
  expect(since).toHaveLength(2);

  process.kill(process1.pid, "SIGTERM");
  await process1.exited;
  await stack.rows(RESTORE);
  expect((await active()).toSorted()).toEqual(then.toSorted());
  stack.startTemporalWorker();

  // A task that ran at the time of the backup runs once more; a task that came later is not known any more.
  await expectDoneOnce(stack, [...early, ...running]);
  const more = await stack.submit(2);
  await expectDoneOnce(stack, more);
  await scale(null);
  await expect.poll(() => livingWorkers(stack)).toEqual([]);
  await expect.poll(() => stack.simulator.ledger().pods.filter(({ live }) => live)).toEqual([]);
  expectNoTwins(stack);
});
