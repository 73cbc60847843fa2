import { afterAll, beforeAll, expect, it } from "vitest";
import { openQueue, type Queue, type Session } from "../kit/queue.ts";

/**
 * What `gpu-pool tasks` and `gpu-pool costs` cost the database, each against the least statement that gives the same rows, in the same
 * run: the shortest of several turns each, so that a busy machine does not count.
 */
const TASKS = 100_000;
const WORKERS = 5_000;
const TURNS = 9;
const LIMIT = 2;
/** One page of a list, or fifty lines of costs. */
const MOST_BYTES = 60_000;

let queue: Queue;
let session: Session;

beforeAll(async () => {
  queue = await openQueue();
  session = await queue.session();
  await fill();
}, 600_000);
afterAll(() => queue?.close());

/** Thirty days: each worker lives six hours and does twenty tasks, of which some fail once and a few are queued at the end. */
async function fill(): Promise<void> {
  await session.rows("set session_replication_role = replica");
  await session.rows("insert into pools (name) select 'pool-' || n from generate_series(0, 3) n");
  await session.rows(`
    insert into workers (id, pool, status, origin, instance_type, cost_per_hr_usd, created_at, pod_created_at, ready_at, deleted_at, gone_at)
    select 'pool-' || n % 4 || '-' || lpad(to_hex(n), 8, '0'), 'pool-' || n % 4, case when gone then 'terminated' else 'active' end, 'pool',
      (array['NVIDIA L40S', 'NVIDIA GeForce RTX 4090'])[1 + n % 2], 0.5 + n % 3 / 10.0, at, at, at + interval '5 minutes',
      case when gone then at + interval '6 hours' end, case when gone then at + interval '6 hours' end
    from generate_series(1, ${WORKERS}) n, lateral (select now() - interval '30 days' * (1 - n / ${WORKERS}.0) as at) a,
      lateral (select at < now() - interval '6 hours' as gone) g`);
  await session.rows(`
    insert into tasks (id, task_type, pool, project_id, status, created_at, updated_at, worker_id, leases, attempts, lease_token,
      claimable_at, leased_at, lease_ended_at, generation_started_at, generation_processed_at, params, result_data)
    select gen_random_uuid(), (array['t2v', 'vace', 'flux'])[1 + k % 3], w.pool, '00000000-0000-0000-0000-000000000000',
      case when t.is_done then 'Complete' when t.failed then 'Failed' else 'Queued' end, t.at - interval '30 minutes', t.at,
      case when t.is_done then w.id end, 1, 1, case when t.is_done then gen_random_uuid() end, t.at - interval '20 minutes', t.at,
      case when t.is_done then t.at + interval '10 minutes' end, t.at, case when t.is_done then t.at + interval '10 minutes' end,
      jsonb_build_object('prompt', repeat('a cat walks ', 20), 'model', 'wan-' || k % 2, 'frames', 81),
      case when t.is_done then jsonb_build_object('video_url', 'https://files/' || repeat('x', 150), 'duration_seconds', 5, 'fps', 16) end
    from workers w, generate_series(0, ${TASKS / WORKERS - 1}) k,
      lateral (select w.ready_at + interval '16 minutes' * k as at) p,
      lateral (select p.at, p.at < now() - interval '10 minutes' and k % 20 <> 7 as is_done, k % 20 = 7 as failed) t
    order by t.at`);
  await session.rows(`
    insert into ended_attempts (task_id, attempt, worker_id, lease_token, started_at, ended_at, cause, error)
    select t.id, 1, w.id, gen_random_uuid(), t.updated_at, t.updated_at + interval '3 minutes', 'task_error', 'no file'
    from (select *, row_number() over (order by id) as n from tasks where status = 'Failed') t
    join (select *, row_number() over (order by id) as n from workers) w on w.n = t.n`);
  await session.rows("set session_replication_role = origin");
  await session.rows("vacuum analyze tasks, workers, ended_attempts");
}

interface Explained {
  readonly "QUERY PLAN": readonly [{ readonly "Execution Time": number }];
}

async function timeOf(statement: string): Promise<number> {
  const [row] = await session.rows<Explained>(`explain (analyze, timing off, format json) ${statement}`);
  return row!["QUERY PLAN"][0]["Execution Time"];
}

/** Each in turn, so that both meet the same machine. */
async function expectWithinLimit(ours: string, least: string): Promise<void> {
  const [our, their]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < TURNS; turn += 1) {
    our.push(await timeOf(ours));
    their.push(await timeOf(least));
  }
  const ratio = Math.min(...our) / Math.min(...their);
  const figures = `${Math.min(...our)} ms against ${Math.min(...their)} ms, ×${ratio.toFixed(2)}`;
  process.stderr.write(`  ${ours.slice(0, 90)}: ${figures}\n`);
  expect(ratio).toBeLessThanOrEqual(LIMIT);
}

async function answerOf<T>(statement: string): Promise<T> {
  const [row] = await session.rows<{ answer: T }>(statement);
  expect(JSON.stringify(row?.answer).length).toBeLessThan(MOST_BYTES);
  return row!.answer;
}

const COLUMNS = `id, task_type, status, gate, pool, project_id, worker_id, priority, attempts, created_at, updated_at,
  generation_started_at, generation_processed_at, dependant_on, output_location, error_message`;

it.each([
  ["the newest fifty", "", ""],
  ["those that failed", ", p_status => '{Failed}'", " and status = 'Failed'"],
  [
    "those of a type and a pool",
    ", p_type => 'vace', p_pool => 'pool-1'",
    " and task_type = 'vace' and pool = 'pool-1'",
  ],
])("a list of tasks, %s, costs at most twice the least", async (_name, args, filter) => {
  const ours = `select list_tasks(50${args}) as answer`;
  const least = `select jsonb_agg(to_jsonb(t)) as answer from (select ${COLUMNS} from tasks
    where true${filter} order by created_at desc, id limit 50) t`;
  expect(await answerOf(ours)).toEqual(await answerOf(least));
  await expectWithinLimit(ours, least);
});

const FROM = "now() - interval '7 days'";
const BILLS = `select id, pool, coalesce(nullif(cost_per_hr_usd, 0), expected_usd_per_hr)::float8 as price,
    greatest(0, date_part('epoch', coalesce(deleted_at, gone_at, now()) - greatest(pod_created_at, ${FROM}))) as sec
  from workers where gone_at is null or gone_at > ${FROM}`;
const HELD = `
  select worker_id, id, task_type, date_part('epoch', coalesce(lease_ended_at, now()) - greatest(leased_at, ${FROM})) as sec,
    lease_ended_at is not null as is_done, case when lease_ended_at is not null then (result_data ->> 'duration_seconds')::float8 end as video
  from tasks where lease_token is not null and (lease_ended_at is null or lease_ended_at > ${FROM})
  union all
  select worker_id, task_id, null, date_part('epoch', ended_at - greatest(started_at, ${FROM})), false, null
  from ended_attempts where ended_at > ${FROM}`;

interface Line {
  readonly of: string;
  readonly usd: number;
}

it("costs by pool cost at most twice the least", async () => {
  const ours = `select cost_report('pool', ${FROM}, null) as answer`;
  const least = `select b.pool as of, sum(b.price * b.sec) / 3600 as usd, sum(h.sec) as busy, sum(h.finished) as finished, sum(h.video)
    from (${BILLS}) b left join (
      select worker_id, sum(sec) as sec, count(*) filter (where is_done) as finished, sum(video) as video from (${HELD}) a group by 1
    ) h on h.worker_id = b.id group by 1 order by 2 desc`;
  const { rows } = await answerOf<{ rows: Line[] }>(ours);
  const expected = await session.rows<Line>(least);
  expect(rows.map(({ of }) => of)).toEqual(expected.map(({ of }) => of));
  rows.forEach(({ usd }, n) => expect(usd / expected[n]!.usd).toBeCloseTo(1, 2));
  await expectWithinLimit(ours, least);
});

it.each([
  ["task", "h.id"],
  ["type", "t.task_type"],
])("costs by %s cost at most twice the least", async (by, key) => {
  const ours = `select cost_report('${by}', ${FROM}, null) as answer`;
  const least = `select ${key} as of, sum(b.price * b.sec * h.sec / h.total) / 3600 as usd, sum(h.sec), count(*), sum(video)
    from (${BILLS}) b join (select *, sum(sec) over (partition by worker_id) as total from (${HELD}) a) h on h.worker_id = b.id
    ${by === "type" ? "join tasks t on t.id = h.id" : ""} group by 1 order by 2 desc limit 50`;
  const { rows } = await answerOf<{ rows: Line[] }>(ours);
  const expected = await session.rows<Line>(least);
  expect(rows[0]!.usd / expected[0]!.usd).toBeCloseTo(1, 2);
  await expectWithinLimit(ours, least);
});

it("costs by day cost at most twice the least", async () => {
  const ours = `select cost_report('day', ${FROM}, null) as answer`;
  const days = `generate_series(date_trunc('day', greatest(a.begun, ${FROM}), 'UTC'), a.ended, interval '24 hours') d`;
  const part = `greatest(0, date_part('epoch', least(a.ended, d + interval '24 hours') - greatest(a.begun, d, ${FROM})))`;
  const least = `select b.day, sum(b.price * b.sec) / 3600 as usd, sum(h.sec), sum(h.finished), sum(h.video)
    from (
      select a.id, d as day, a.price, ${part} as sec from (
        select id, coalesce(nullif(cost_per_hr_usd, 0), expected_usd_per_hr)::float8 as price, pod_created_at as begun,
          coalesce(deleted_at, gone_at, now()) as ended from workers where gone_at is null or gone_at > ${FROM}) a, ${days}) b
    left join (
      select worker_id, d as day, sum(${part}) as sec, count(*) filter (where is_done) as finished, sum(video) as video from (
        select worker_id, leased_at as begun, coalesce(lease_ended_at, now()) as ended, lease_ended_at is not null as is_done,
          case when lease_ended_at is not null then (result_data ->> 'duration_seconds')::float8 end as video
        from tasks where lease_token is not null and (lease_ended_at is null or lease_ended_at > ${FROM})
        union all
        select worker_id, started_at, ended_at, false, null from ended_attempts where ended_at > ${FROM}) a, ${days}
      group by 1, 2) h on h.worker_id = b.id and h.day = b.day
    group by 1 order by 1 desc`;
  const { rows } = await answerOf<{ rows: Line[] }>(ours);
  const expected = await session.rows<Line>(least);
  expect(rows).toHaveLength(expected.length);
  rows.forEach(({ usd }, n) => expect(usd / expected[n]!.usd).toBeCloseTo(1, 2));
  await expectWithinLimit(ours, least);
});
