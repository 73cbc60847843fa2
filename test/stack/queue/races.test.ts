import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Claim, leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

const RACES = 300;
/** How many pairs of calls run at a time, each on two connections. */
const AT_ONCE = 8;

interface Drained {
  readonly outcome: string;
  readonly busy: boolean;
}

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

/** Runs two calls about each subject at once. Each of them is sent first in turn. */
async function race<S, A, B>(
  subjects: readonly S[],
  one: (subject: S) => Promise<A>,
  other: (subject: S) => Promise<B>,
): Promise<[S, A, B][]> {
  const results: [S, A, B][] = [];
  const waiting = subjects.map((subject, index) => ({ subject, index }));
  const run = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { subject, index } = next;
      if (index % 2 === 0) {
        const [a, b] = await Promise.all([one(subject), other(subject)]);
        results.push([subject, a, b]);
      } else {
        const [b, a] = await Promise.all([other(subject), one(subject)]);
        results.push([subject, a, b]);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
  return results;
}

describe("invariant 6: draining is atomic with claiming", () => {
  const drain = (worker: string, onlyIdle: boolean) =>
    queue.call<Drained>("drain_worker", { p_worker_id: worker, p_reason: "a race", p_only_idle: onlyIdle });
  const states = async () => {
    const rows = await queue.rows<{ id: string; status: string; held: boolean }>(
      `select id, status, exists (select from task_attempts where worker_id = workers.id and ended_at is null) as held
       from workers where pool = $1`,
      [pool],
    );
    return new Map(rows.map((row) => [row.id, row]));
  };

  it.each([true, false])(
    `in ${RACES} races no worker ends draining with a lease that the drain did not report (only idle: %s)`,
    async (onlyIdle) => {
      await queue.addTasks(pool, RACES);
      const workers = await queue.newWorkers(pool, RACES);
      const results = await race(workers, queue.claim, (worker) => drain(worker, onlyIdle));
      const after = await states();
      const winners = new Set<string>();
      for (const [worker, claim, drained] of results) {
        const { status, held } = after.get(worker)!;
        expect({ held, status, ...drained }).toEqual(
          claim.task === null
            ? { held: false, status: "terminating", outcome: "drained", busy: false }
            : onlyIdle
              ? { held: true, status: "active", outcome: "refused_busy", busy: true }
              : { held: true, status: "terminating", outcome: "drained", busy: true },
        );
        winners.add(held ? "claim" : "drain");
      }
      expect(results).toHaveLength(RACES);
      // Both outcomes must occur, or the race would prove nothing.
      expect([...winners].sort()).toEqual(["claim", "drain"]);
    },
  );

  it.each([true, false])("a drain that had to wait for a claim sees its lease (only idle: %s)", async (onlyIdle) => {
    await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    const [claiming, draining] = [await queue.session(), await queue.session()];
    await claiming.rows("begin");
    await claiming.call<Claim>("claim_task", { p_worker_id: worker });
    const args = { p_worker_id: worker, p_reason: "test", p_only_idle: onlyIdle };
    const drained = draining.call<Drained>("drain_worker", args);
    await queue.untilBlocked(draining);
    await claiming.rows("commit");
    expect(await drained).toEqual({ outcome: onlyIdle ? "refused_busy" : "drained", busy: true });
  });

  it("a claim that had to wait for a drain gets no task", async () => {
    const task = await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    const [claiming, draining] = [await queue.session(), await queue.session()];
    await draining.rows("begin");
    await draining.call("drain_worker", { p_worker_id: worker, p_reason: "test", p_only_idle: true });
    const claim = claiming.call<Claim>("claim_task", { p_worker_id: worker });
    await queue.untilBlocked(claiming);
    await draining.rows("commit");
    expect(await claim).toEqual({ worker_status: "terminating", task: null });
    expect(await queue.task(task)).toMatchObject({ status: "Queued", attempts: 0 });
  });
});

describe("invariant 6: a status that is changed by hand, without a lock", () => {
  const byHand = "update workers set status = 'terminating' where id = $1";

  it("waits for a claim that is under way", async () => {
    const task = await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    const [claiming, changing] = [await queue.session(), await queue.session()];
    await claiming.rows("begin");
    await claiming.call<Claim>("claim_task", { p_worker_id: worker });
    const changed = changing.rows(byHand, [worker]);
    await queue.untilBlocked(changing);
    await claiming.rows("commit");
    await changed;
    expect(await queue.task(task)).toMatchObject({ status: "In Progress", worker_id: worker });
  });

  it("is waited for by a claim, which gets no task then", async () => {
    const task = await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    const [claiming, changing] = [await queue.session(), await queue.session()];
    await changing.rows("begin");
    await changing.rows(byHand, [worker]);
    const claim = claiming.call<Claim>("claim_task", { p_worker_id: worker });
    await queue.untilBlocked(claiming);
    await changing.rows("commit");
    expect(await claim).toEqual({ worker_status: "terminating", task: null });
    expect(await queue.task(task)).toMatchObject({ status: "Queued", attempts: 0 });
  });
});

describe("invariant 5: two calls of one worker", () => {
  it(`in ${RACES} races claim one task, which both get`, async () => {
    await queue.addTasks(pool, 2 * RACES);
    const workers = await queue.newWorkers(pool, RACES);
    for (const [worker, one, other] of await race(workers, queue.claim, queue.claim)) {
      expect({ worker, task: one.task }).toEqual({ worker, task: other.task });
    }
    const leased =
      "select count(distinct worker_id)::int as workers, count(*)::int as n from task_attempts where worker_id = any($1)";
    expect(await queue.rows(leased, [workers])).toEqual([{ workers: RACES, n: RACES }]);
  });

  it("of which one takes back what the worker failed wait for each other instead of running into a deadlock", async () => {
    const worker = await queue.newWorker(pool);
    const failed = await queue.addTask(pool, { priority: 1 });
    await queue.fail(await queue.lease(worker), "CUDA error");
    const since = await queue.one<{ ms: string }>("select to_ms(now() - interval '1 minute') as ms");
    const [holding, claiming, failing] = [await queue.session(), await queue.session(), await queue.session()];
    // The row of the worker is locked for a moment, so that the claim has its task and waits for its worker.
    await holding.rows("begin");
    await holding.rows("select from workers where id = $1 for update", [worker]);
    const claim = claiming.call<Claim>("claim_task", { p_worker_id: worker });
    await queue.untilBlocked(claiming);
    const verdict = failing.call<{ outcome: string }>("fail_worker", {
      p_worker_id: worker,
      p_lease_cause: "host_lost",
      p_reason: "it is sick",
      p_failed_since_ms: Number(since.ms),
    });
    await queue.untilBlocked(failing);
    await holding.rows("commit");
    expect((await claim).task?.task_id).toBe(failed);
    expect(await verdict).toMatchObject({ outcome: "failed", leases_closed: 1 });
    expect(await queue.task(failed)).toMatchObject({ status: "Queued", attempts: 0 });
  });
});

describe("invariant 5: a verdict of failure is atomic with claiming and finishing", () => {
  it(`in ${RACES} races no failed worker keeps a lease, and no task is left running without one`, async () => {
    await queue.addTasks(pool, RACES);
    const workers = await queue.newWorkers(pool, RACES);
    const fail = (worker: string) =>
      queue.call("fail_worker", { p_worker_id: worker, p_lease_cause: "host_lost", p_reason: "a race" });
    await race(workers, queue.claim, fail);
    const open = "select 1 from task_attempts where worker_id = any($1) and ended_at is null";
    expect(await queue.rows(open, [workers])).toEqual([]);
    const states = "select distinct status from tasks where pool = $1";
    expect(await queue.rows(states, [pool])).toEqual([{ status: "Queued" }]);
  });

  it(`in ${RACES} races a task is either finished or taken back, never both`, async () => {
    await queue.addTasks(pool, RACES);
    const workers = await queue.newWorkers(pool, RACES);
    const leases = new Map<string, Awaited<ReturnType<Queue["lease"]>>>();
    for (const worker of workers) {
      leases.set(worker, await queue.lease(worker));
    }
    const results = await race(
      workers,
      (worker) => queue.finish(leases.get(worker)!),
      (worker) => queue.call<number>("expel_worker", { p_worker_id: worker, p_reason: "a race" }),
    );
    const tasks = await queue.rows<{ id: string; status: string }>("select id, status from tasks where pool = $1", [
      pool,
    ]);
    const statusOf = new Map(tasks.map(({ id, status }) => [id, status]));
    for (const [worker, finished, closed] of results) {
      const status = statusOf.get(leases.get(worker)!.task_id);
      expect({ finished, closed, status }).toEqual(
        closed === 0
          ? { finished: "completed", closed, status: "Complete" }
          : { finished: "lease_lost", closed: 1, status: "Queued" },
      );
    }
  });
});

describe("invariant 8: a fired timer is a question", () => {
  it("a spawn deadline waits for a first heartbeat that is under way, and is refused", async () => {
    const worker = await queue.newWorker(pool, { status: "spawning" });
    const [beating, failing] = [await queue.session(), await queue.session()];
    await beating.rows("begin");
    await beating.call("worker_heartbeat", { p_worker_id: worker });
    const failed = failing.call("fail_worker", {
      p_worker_id: worker,
      p_lease_cause: "worker_died",
      p_reason: "not ready in time",
      p_require_spawning: true,
    });
    await queue.untilBlocked(failing);
    await beating.rows("commit");
    expect(await failed).toEqual({ outcome: "refused_ready", leases_closed: 0 });
    expect(await queue.rows("select status from workers where id = $1", [worker])).toEqual([{ status: "active" }]);
  });
});

describe("a child that is inserted while its parent ends", () => {
  const parents = async () => {
    await queue.addTasks(pool, RACES);
    const leases = [];
    for (const worker of await queue.newWorkers(pool, RACES)) {
      leases.push(await queue.lease(worker));
    }
    return leases;
  };

  it(`is open in each of ${RACES} races with its completion: none waits without end`, async () => {
    const elsewhere = await queue.newPool();
    await race(await parents(), queue.finish, (lease) => queue.addTask(elsewhere, { dependant_on: lease.task_id }));
    const gates = "select status, gate, count(*)::int as n from tasks where pool = $1 group by 1, 2";
    expect(await queue.rows(gates, [elsewhere])).toEqual([{ status: "Queued", gate: "open", n: RACES }]);
  });

  it(`has failed in each of ${RACES} races with its failure`, async () => {
    const elsewhere = await queue.newPool();
    const failForGood = (lease: Awaited<ReturnType<Queue["lease"]>>) => queue.fail(lease, "bad params", true);
    await race(await parents(), failForGood, (lease) => queue.addTask(elsewhere, { dependant_on: lease.task_id }));
    const states = "select status, count(*)::int as n from tasks where pool = $1 group by 1";
    expect(await queue.rows(states, [elsewhere])).toEqual([{ status: "Failed", n: RACES }]);
  });

  it("has an open gate when the completion had to wait for the insert", async () => {
    const parent = await queue.addTask(pool);
    const lease = await queue.lease(await queue.newWorker(pool));
    const [submitter, finisher] = [await queue.session(), await queue.session()];
    await submitter.rows("begin");
    const [child] = await submitter.rows<{ id: string }>(
      "insert into tasks (task_type, pool, dependant_on) values ('generate_video', $1, $2) returning id",
      [pool, parent],
    );
    const nothing = { p_storage_path: null, p_output_location: null, p_result: {} };
    const finished = finisher.call("finish_task", { ...leaseArgs(lease), ...nothing });
    await queue.untilBlocked(finisher);
    await submitter.rows("commit");
    expect(await finished).toEqual({ outcome: "completed" });
    expect(await queue.task(child!.id)).toMatchObject({ gate: "open" });
  });

  it("is open at once when the insert had to wait for the completion", async () => {
    const parent = await queue.addTask(pool);
    await queue.lease(await queue.newWorker(pool));
    const [submitter, finisher] = [await queue.session(), await queue.session()];
    await finisher.rows("begin");
    await finisher.rows("update tasks set status = 'Complete' where id = $1", [parent]);
    const insert = submitter.rows<{ id: string; gate: string }>(
      "insert into tasks (task_type, pool, dependant_on) values ('generate_video', $1, $2) returning id, gate",
      [pool, parent],
    );
    await queue.untilBlocked(submitter);
    await finisher.rows("commit");
    expect(await insert).toMatchObject([{ gate: "open" }]);
  });
});
