import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { arrivalsPerSecOf } from "../../../src/policy/latency/samples.ts";
import { learnt, type WaitTarget } from "../../../src/policy/latency/wait-target.ts";
import type { Figures } from "../../../src/supabase/measured/figures.ts";
import { addEnded } from "../../kit/ended-tasks.ts";
import { age, type LookRequest, measuredOf, rateOf } from "../../kit/measuring.ts";
import { openQueue, type Queue } from "../../kit/queue.ts";

const W = 360;
const TARGET: WaitTarget = {
  targetSec: 60,
  percentile: 90,
  first: 2,
  lowest: 0.01,
  highest: 50,
  gain: 0.02,
  learns: true,
};

let queue: Queue;
let pool: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  pool = await queue.newPool();
});
afterAll(() => queue?.close());

function measured(request?: LookRequest): Promise<Figures> {
  return measuredOf(queue, pool, request);
}

function agesOf(figures: Figures, sinceMs: readonly number[]): number[] {
  return sinceMs.map((ms) => (figures.measuredMs - ms) / 1000);
}

describe("arrivals", () => {
  it("begin with what waits and what was claimed, each by its age", async () => {
    const now = Date.now();
    const [waiting, claimed] = [
      [5, 60, 600, 2_000].map((age) => now - age * 1_000),
      [30, 300, 3_000].map((age) => now - age * 1_000),
    ];
    const ids = await queue.addTasks(pool, waiting.length);
    for (const [n, id] of ids.entries()) {
      await backdate(id, waiting[n]!);
    }
    const worker = await queue.newWorker(pool);
    await addEnded(
      queue,
      pool,
      worker,
      claimed.map((ms) => ({ seconds: 1, claimableAt: new Date(ms) })),
      4,
    );
    const found = await measured();
    const rate = arrivalsPerSecOf(agesOf(found, [...waiting, ...claimed]), W);
    expect(rateOf(found)).toBeCloseTo(rate, 4);
    expect(found.demand).toMatchObject([{ taskType: "generate_video", model: null, queued: 4 }]);
  });

  it("then fade, and grow by what waits more and what was claimed since", async () => {
    await queue.addTasks(pool, 6);
    const before = rateOf(await measured());
    await age(queue, pool, 60);
    await queue.addTasks(pool, 5);
    const workers = await queue.newWorkers(pool, 3);
    for (const worker of workers) {
      await queue.lease(worker);
    }
    const fade = Math.exp(-60 / W);
    expect(rateOf(await measured())).toBeCloseTo(before * fade + (5 / 60) * (1 - fade), 3);
  });

  it("of tasks that came and ended between two looks count with the next full pass", async () => {
    const worker = await queue.newWorker(pool);
    await measured();
    for (const full of [false, true]) {
      await age(queue, pool, 60);
      await queue.addTask(pool);
      await queue.finish(await queue.lease(worker));
      const fade = Math.exp(-60 / W);
      expect(rateOf(await measured({ full }))).toBeCloseTo(full ? (2 / 60) * (1 - fade) : 0, 4);
    }
  });

  it("of tasks that were cancelled while they waited are none", async () => {
    const ids = await queue.addTasks(pool, 3);
    await measured();
    await queue.rows("update tasks set status = 'Cancelled' where id = any($1)", [ids]);
    await age(queue, pool, 5);
    const found = await measured();
    expect(rateOf(found)).toBe(0);
    expect(found.demand).toEqual([]);
  });

  it("begin anew where the clock was set back, or nobody looked for an hour", async () => {
    await queue.addTasks(pool, 2);
    const rate = rateOf(await measured());
    for (const sec of [1_000, -8_000]) {
      await queue.rows("update pool_measurements set arrivals_per_sec = 77 where pool = $1", [pool]);
      await age(queue, pool, -sec);
      expect(rateOf(await measured())).toBeCloseTo(rate, 4);
    }
  });

  it("are shared out to the kinds as they are queued, running and ended", async () => {
    await queue.addTasks(pool, 2, { params: { model: "a" } });
    await queue.addTask(pool, { task_type: "image" });
    const worker = await queue.newWorker(pool);
    await addEnded(queue, pool, worker, [{ seconds: 5, params: { model: "a" } }]);
    await queue.lease(await queue.newWorker(pool));
    const { demand } = await measured();
    const all = demand.reduce((sum, { arrivalsPerSec }) => sum + arrivalsPerSec, 0);
    expect(demand.map((kind) => ({ ...kind, arrivalsPerSec: (4 * kind.arrivalsPerSec) / all }))).toEqual([
      { taskType: "generate_video", model: "a", queued: 1, arrivalsPerSec: expect.closeTo(3, 9) as number },
      { taskType: "image", model: null, queued: 1, arrivalsPerSec: expect.closeTo(1, 9) as number },
    ]);
  });
});

describe("tasks that will come", () => {
  it("are those that wait for a running task, in whatever pool that runs", async () => {
    const other = await queue.newPool();
    const [here, there, waits] = [await queue.addTask(pool), await queue.addTask(other), await queue.addTask(pool)];
    await queue.lease(await queue.newWorker(pool));
    await queue.lease(await queue.newWorker(other));
    await queue.addTasks(pool, 2, { dependant_on: here, params: { model: "m" } });
    await queue.addTask(pool, { dependant_on: there, task_type: "image" });
    await queue.addTask(pool, { dependant_on: waits });
    await queue.addTask(other, { dependant_on: here });
    const { coming, demand } = await measured();
    expect(new Set(coming)).toEqual(
      new Set([
        { after: here, taskType: "generate_video", model: "m", tasks: 2 },
        { after: there, taskType: "image", model: null, tasks: 1 },
      ]),
    );
    expect(demand).toMatchObject([{ queued: 1 }]);
  });

  it("the fleet's tasks have their kinds, so that each counts with the time of its own", async () => {
    await queue.addTask(pool, { params: { model: "m" } });
    await queue.lease(await queue.newWorker(pool));
    const args = { p_pool: pool, p_known_fleet: null, p_full: false, p_poll_sec: 30 };
    const { fleet } = await queue.call<{ fleet: unknown[] }>("pool_observe", { ...args, p_kinds: true });
    expect(fleet).toMatchObject([{ task: { task_type: "generate_video", model: "m" } }]);
  });
});

describe("WAIT_VALUE", () => {
  async function started(waits: readonly number[], agoSec: number) {
    const worker = await queue.newWorker(pool);
    const leasedMs = Date.now() - agoSec * 1_000;
    const tasks = waits.map((wait) => ({ seconds: 1, claimableAt: new Date(leasedMs - wait * 1_000) }));
    await addEnded(queue, pool, worker, tasks, agoSec - 1);
  }

  it("is learnt from the tasks that were claimed since the last step, once", async () => {
    expect((await measured({ target: TARGET })).waitValue).toBeNull();
    await age(queue, pool, 60);
    await started([10, 70, 80, 20, 59, 61], 30);
    const expected = learnt(2, TARGET, { starts: 6, late: 3 });
    expect((await measured({ target: TARGET })).waitValue).toBeCloseTo(expected, 9);
    expect((await measured({ target: TARGET })).waitValue).toBeCloseTo(expected, 9);
    const { wait_value } = await queue.one<{ wait_value: number }>("select wait_value from pools where name = $1", [
      pool,
    ]);
    expect(wait_value).toBeCloseTo(expected, 9);
  });

  it("stays within its bounds, and as it is while something else rules the pool", async () => {
    await measured({ target: { ...TARGET, highest: 2.5 } });
    await age(queue, pool, 60);
    await started(
      Array.from({ length: 60 }, () => 500),
      30,
    );
    expect((await measured({ target: { ...TARGET, learns: false, highest: 2.5 } })).waitValue).toBeNull();
    await age(queue, pool, 60);
    expect((await measured({ target: { ...TARGET, highest: 2.5 } })).waitValue).toBe(2.5);
  });

  it("is left alone by a look without a target and by a pool's first look", async () => {
    await started([500, 500, 500], 30);
    expect((await measured({ target: TARGET })).waitValue).toBeNull();
    await age(queue, pool, 60);
    await started([500], 30);
    expect((await measured()).waitValue).toBeNull();
  });

  it("comes with the wait at the percentile, from twenty starts on", async () => {
    const waits = Array.from({ length: 30 }, (_, n) => n * 4);
    await started(waits.slice(0, 19), 60);
    expect((await measured({ target: TARGET })).waited).toBeNull();
    await age(queue, pool, 35);
    await started(waits.slice(19), 30);
    const { waited } = await measured({ target: TARGET });
    expect(waited!.starts).toBe(30);
    expect(waited!.sec).toBeCloseTo(0.9 * 29 * 4, 1);
  });
});

async function backdate(id: string, ms: number): Promise<void> {
  const session = await queue.session();
  await session.rows("set session_replication_role = replica");
  await session.rows("update tasks set updated_at = $2 where id = $1", [id, new Date(ms)]);
  await session.end();
}
