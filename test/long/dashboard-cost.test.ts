import { afterAll, beforeAll, expect, it } from "vitest";
import { fillQueue, type PlanWatch, watchPlans } from "../kit/plans.ts";
import { openQueue, type Queue } from "../kit/queue.ts";

const WORKERS = 5_000;

let queue: Queue;
let watch: PlanWatch;
let pool: string;

beforeAll(async () => {
  queue = await openQueue();
  pool = await queue.newPool();
  await fillQueue(queue, [pool], { queued: 75_000, ended: 25_000 });
  await queue.rows("update pools set observed_at = now(), desired_workers = 4000 where name = $1", [pool]);
  await queue.newWorkers(pool, WORKERS, { cost_per_hr_usd: 0.5, pod_created_at: new Date(), instance_type: "L40S" });
  await queue.rows("alter table tasks disable trigger user");
  await queue.rows(
    `update tasks t set status = 'In Progress', worker_id = w.id, lease_token = gen_random_uuid(), leased_at = now()
     from (select id, row_number() over () as n from workers where pool = $1) w
     join (select id, row_number() over () as n from tasks where status = 'Queued' and gate = 'open' limit 4000) q using (n)
     where t.id = q.id`,
    [pool],
  );
  await queue.rows("alter table tasks enable trigger user");
  await queue.rows(
    `insert into pool_minutes select $1, date_trunc('minute', now()) - make_interval(mins => n), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
       1, 1, 1, 1, 1 from generate_series(1, 129600) as n`,
    [pool],
  );
  await queue.rows(
    `insert into pool_events (pool, kind, reason)
     select $1, case when n % 50 = 0 then 'decision' else 'worker.gone' end, 'because' from generate_series(1, 50000) as n`,
    [pool],
  );
  await queue.rows("vacuum analyze");
  watch = await watchPlans(queue);
}, 900_000);

afterAll(async () => {
  await watch?.end();
  await queue?.close();
});

/** For each part of the answer, the least query that gives its rows. */
const LEAST = [
  "select count(*) from tasks where status = 'Queued' and gate = 'open' and pool = $1",
  "select gate, count(*) from tasks where status = 'Queued' and gate <> 'open' and pool = $1 group by gate",
  "select count(*) from tasks where status = 'In Progress' and pool = $1 and delegated_at is null",
  `select min(since) from (select coalesce(updated_at, created_at) as since from tasks
   where status = 'Queued' and gate = 'open' and pool = $1 order by priority desc, vtime, id limit 1000) as head`,
  `select w.id, w.status, w.cost_per_hr_usd, t.id, t.task_type, t.progress, t.leased_at from workers w left join tasks t
   on t.worker_id = w.id and t.lease_token is not null and t.lease_ended_at is null where w.pool = $1 and w.gone_at is null`,
  "select hourly_usd, today_usd from account_spend($1)",
  "select * from pool_minutes where pool = $1 and minute > now() - interval '62 minutes' order by minute",
  "select at, reason from pool_events where pool = $1 and kind = 'decision' order by id desc limit 10",
  `select kind, subject, message, opened_at, what_to_do from alerts join alert_kinds using (kind)
   where closed_at is null and (pool = $1 or pool is null)`,
];

it("a dashboard of 100,000 tasks and 5,000 workers reads at most twice the pages of the least queries, and is small", async () => {
  const pagesOf = async (statement: string) => {
    // The first call reads the catalog too.
    await watch.run(statement, [pool]);
    const { rows, statements } = await watch.run<{ answer: unknown }>(statement, [pool]);
    return { rows, pages: statements.at(-1)?.pages ?? Number.NaN };
  };
  let least = 0;
  for (const statement of LEAST) {
    least += (await pagesOf(statement)).pages;
  }
  const { rows, pages } = await pagesOf("select pool_dashboard($1, '', 200) as answer");
  expect(rows[0]?.answer).toMatchObject({ fleet_count: WORKERS, workers: { busy: 4_000, idle: 1_000 } });
  expect(JSON.stringify(rows[0]?.answer).length).toBeLessThan(200_000);
  expect(least).toBeGreaterThan(100);
  expect(pages / least).toBeLessThanOrEqual(2);
  const { pages: recording } = await pagesOf("select record_minute($1)");
  expect(recording / least).toBeLessThanOrEqual(2);
});
