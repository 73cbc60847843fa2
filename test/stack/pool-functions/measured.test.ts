import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { arrivalsPerSecOf, bootSecOf, quantilesSecOf } from "../../../src/policy/latency/samples.ts";
import { learnt, type WaitTarget } from "../../../src/policy/latency/wait-target.ts";
import { type Figures, figures, measureArgument } from "../../../src/supabase/measurements.ts";
import { addEnded } from "../../kit/ended-tasks.ts";
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

/** Null: the figures are those that `knownMs` names. */
async function look(
  { full = true, ...request }: { full?: boolean; target?: WaitTarget; everySec?: number; knownMs?: number } = {},
): Promise<Figures | null> {
  const measure = measureArgument({ everySec: 0, knownMs: null, target: null, ...request });
  const args = { p_pool: pool, p_known_fleet: null, p_full: full, p_poll_sec: 30, p_measure: measure };
  const { measured } = await queue.call<{ measured: unknown }>("pool_observe", args);
  return measured === null ? null : figures.parse(measured);
}
async function measured(request: Parameters<typeof look>[0] = {}): Promise<Figures> {
  const found = await look(request);
  expect(found).not.toBeNull();
  return found!;
}
const setTimes = (sec: number) =>
  queue.rows(
    `update pool_measurements set measured_at = measured_at + make_interval(secs => $2),
       claims_to = claims_to + make_interval(secs => $2), services_at = services_at + make_interval(secs => $2), counted_to = counted_to + make_interval(secs => $2)
     where pool = $1`,
    [pool, sec],
  );
const agesOf = (figures: Figures, sinceMs: readonly number[]) => sinceMs.map((ms) => (figures.measuredMs - ms) / 1000);

function addBoots(seconds: readonly number[], columns: Readonly<Record<string, unknown>> = {}) {
  return Promise.all(
    seconds.map((sec, n) => {
      const readyMs = Date.now() - 3_600_000 + n * 1_000;
      const times = { created_at: new Date(readyMs - sec * 1_000), ready_at: new Date(readyMs) };
      return queue.newWorker(pool, { ...times, ...columns });
    }),
  );
}

describe("a pool without any history", () => {
  it("has no figure that is zero for want of knowledge", async () => {
    expect(await measured()).toMatchObject({
      bootSec: null,
      boots: [],
      services: [],
      speeds: [],
      priorsSec: {},
      demand: [],
      coming: [],
      waitValue: null,
      waited: null,
    });
  });

  it("measures nothing unless it is asked to", async () => {
    const args = { p_pool: pool, p_known_fleet: null, p_full: true, p_poll_sec: 30 };
    expect(await queue.call("pool_observe", args)).toMatchObject({ measured: null });
    expect(await queue.rows("select from pool_measurements where pool = $1", [pool])).toEqual([]);
  });
});

describe("boots", () => {
  it("are the median of the last twenty, and of the last twenty at each place", async () => {
    const early = [9_000, 9_000, 9_000, 9_000, 9_000];
    const late = [90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 95, 105, 115, 125, 135, 145, 155, 165, 175, 186];
    await addBoots([...early, ...late], { instance_type: "A", cloud: "SECURE", data_center: "EU-1" });
    const one = await measured();
    expect(one.bootSec).toBeCloseTo(bootSecOf([...early, ...late])!, 6);
    expect(one.bootSec).toBeCloseTo(137.5, 6);
    expect(one.boots).toEqual([{ gpuType: "A", cloud: "SECURE", dataCenter: "EU-1", samples: 20, medianSec: 137.5 }]);
  });

  it("count with one sample, count 0 where a clock ran backwards, and leave out external workers and jobs", async () => {
    await addBoots([30], { instance_type: "B" });
    await addBoots([77], { origin: "external" });
    await addBoots([77], { origin: "job" });
    expect(await measured()).toMatchObject({ bootSec: 30, boots: [{ gpuType: "B", cloud: null, samples: 1 }] });
    await addBoots([-500], { instance_type: "B" });
    await setTimes(-31);
    expect((await measured()).bootSec).toBe(15);
  });
});

describe("service times", () => {
  const series = (count: number, from: number) => Array.from({ length: count }, (_, n) => from + ((n * 37) % 101) / 3);

  it("are the quantiles of the last four hundred, by type and model", async () => {
    const worker = await queue.newWorker(pool, { instance_type: "A" });
    const [old, fast, slow] = [series(30, 5_000), series(400, 20), series(40, 600)];
    await addEnded(queue, pool, worker, [
      ...old.map((seconds) => ({ seconds, params: { model: "fast" } })),
      ...fast.map((seconds) => ({ seconds, params: { model: "fast" } })),
      ...slow.map((seconds) => ({ seconds, params: { model_name: "slow" } })),
    ]);
    // One worker answers at most its last 400 in the first look, so that a long history costs no more than a short one.
    const found = await measured();
    const of = (model: string | null) => found.services.find((service) => service.model === model)!;
    expect(of("slow")).toMatchObject({ taskType: "generate_video", samples: 40 });
    expectClose(of("slow").quantilesSec, quantilesSecOf(slow));
    expectClose(of("fast").quantilesSec, quantilesSecOf(fast.slice(40)));
    expect(of(null).samples).toBe(400);
    expectClose(of(null).quantilesSec, quantilesSecOf([...fast.slice(40), ...slow]));
    expect(found.speeds).toContainEqual({
      taskType: "generate_video",
      model: "slow",
      gpuType: "A",
      samples: 40,
      meanSec: expect.closeTo(slow.reduce((sum, sec) => sum + sec) / 40, 3) as number,
    });
  });

  it("count each task once, and keep the last four hundred of a kind", async () => {
    const worker = await queue.newWorker(pool);
    const [first, second] = [series(390, 10), series(20, 900)];
    await addEnded(queue, pool, worker, first.map((seconds) => ({ seconds })), 120);
    expect((await measured()).services).toMatchObject([{ model: null, samples: 390 }]);
    expect((await measured()).services).toMatchObject([{ model: null, samples: 390 }]);
    await setTimes(-100);
    await addEnded(queue, pool, worker, second.map((seconds) => ({ seconds })), 60);
    const [service] = (await measured()).services;
    expect(service!.samples).toBe(400);
    expectClose(service!.quantilesSec, quantilesSecOf([...first, ...second]));
  });

  it("count tasks that ended well, not those that failed or were given back", async () => {
    const worker = await queue.newWorker(pool);
    await addEnded(queue, pool, worker, [{ seconds: 50 }, { seconds: 1, cause: "task_error" }, { seconds: 7, cause: "delegated" }]);
    const { services } = await measured();
    expect(services).toMatchObject([{ samples: 2 }]);
    expect([services[0]!.quantilesSec[0], services[0]!.quantilesSec[20]]).toEqual([7, 50]);
  });

  it("are those of this pool, and a clock that was set back adds and breaks nothing", async () => {
    const other = await queue.newPool();
    await addEnded(queue, other, await queue.newWorker(other), [{ seconds: 3 }]);
    const worker = await queue.newWorker(pool);
    await addEnded(queue, pool, worker, [{ seconds: 50 }, { seconds: -40 }]);
    expect((await measured()).services).toMatchObject([{ samples: 2, quantilesSec: { 0: 0, 20: 50 } }]);
    await setTimes(3_600);
    await addEnded(queue, pool, worker, [{ seconds: 60 }], 30);
    expect((await measured()).services).toMatchObject([{ samples: 2 }]);
  });

  it("come with what operators expect of a type", async () => {
    await queue.rows("insert into task_types (name, expected_sec) values ('long_video', 900)");
    expect((await measured()).priorsSec).toEqual({ long_video: 900 });
    await queue.rows("delete from task_types where name = 'long_video'");
  });
});

describe("arrivals", () => {
  it("begin with what waits and what was claimed, each by its age", async () => {
    const now = Date.now();
    const [waiting, claimed] = [[5, 60, 600, 2_000].map((age) => now - age * 1_000), [30, 300, 3_000].map((age) => now - age * 1_000)];
    const ids = await queue.addTasks(pool, waiting.length);
    for (const [n, id] of ids.entries()) {
      await backdate(id, waiting[n]!);
    }
    const worker = await queue.newWorker(pool);
    await addEnded(queue, pool, worker, claimed.map((ms) => ({ seconds: 1, claimableAt: new Date(ms) })), 4);
    const found = await measured();
    const rate = arrivalsPerSecOf(agesOf(found, [...waiting, ...claimed]), W);
    expect(sumOf(found)).toBeCloseTo(rate, 5);
    expect(found.demand).toMatchObject([{ taskType: "generate_video", model: null, queued: 4 }]);
  });

  it("then fade, and grow by what waits more and what was claimed since", async () => {
    await queue.addTasks(pool, 6);
    const before = sumOf(await measured());
    await setTimes(-60);
    await queue.addTasks(pool, 5);
    const workers = await queue.newWorkers(pool, 3);
    for (const worker of workers) {
      await queue.lease(worker);
    }
    const fade = Math.exp(-60 / W);
    expect(sumOf(await measured())).toBeCloseTo(before * fade + (5 / 60) * (1 - fade), 3);
  });

  it("of tasks that came and ended between two looks count with the next full pass", async () => {
    const worker = await queue.newWorker(pool);
    await measured();
    for (const full of [false, true]) {
      await setTimes(-60);
      await queue.addTask(pool);
      await queue.finish(await queue.lease(worker));
      const fade = Math.exp(-60 / W);
      expect(sumOf(await measured({ full }))).toBeCloseTo(full ? (2 / 60) * (1 - fade) : 0, 6);
    }
  });

  it("of tasks that were cancelled while they waited are none", async () => {
    const ids = await queue.addTasks(pool, 3);
    await measured();
    await queue.rows("update tasks set status = 'Cancelled' where id = any($1)", [ids]);
    await setTimes(-5);
    const found = await measured();
    expect(sumOf(found)).toBe(0);
    expect(found.demand).toEqual([]);
  });

  it("begin anew where the clock was set back, or nobody looked for an hour", async () => {
    await queue.addTasks(pool, 2);
    const rate = sumOf(await measured());
    for (const sec of [1_000, -8_000]) {
      await queue.rows("update pool_measurements set arrivals_per_sec = 77 where pool = $1", [pool]);
      await setTimes(sec);
      expect(sumOf(await measured())).toBeCloseTo(rate, 4);
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
    const measure = measureArgument({ everySec: 5, knownMs: null, target: null });
    const { fleet } = await queue.call<{ fleet: unknown[] }>("pool_observe", { ...args, p_measure: measure });
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
    expect((await measured({ target: TARGET })).waitValue).toBe(2);
    await setTimes(-60);
    await started([10, 70, 80, 20, 59, 61], 30);
    const expected = learnt(2, TARGET, { starts: 6, late: 3 });
    expect((await measured({ target: TARGET })).waitValue).toBeCloseTo(expected, 9);
    expect((await measured({ target: TARGET })).waitValue).toBeCloseTo(expected, 9);
    const { wait_value } = await queue.one<{ wait_value: number }>("select wait_value from pools where name = $1", [pool]);
    expect(wait_value).toBeCloseTo(expected, 9);
  });

  it("stays within its bounds, and as it is while something else rules the pool", async () => {
    await measured({ target: { ...TARGET, highest: 2.5 } });
    await setTimes(-60);
    await started(Array.from({ length: 60 }, () => 500), 30);
    expect((await measured({ target: { ...TARGET, learns: false, highest: 2.5 } })).waitValue).toBe(2);
    await setTimes(-60);
    expect((await measured({ target: { ...TARGET, highest: 2.5 } })).waitValue).toBe(2.5);
  });

  it("is left alone by a look without a target and by a pool's first look", async () => {
    await started([500, 500, 500], 30);
    expect((await measured({ target: TARGET })).waitValue).toBe(2);
    await setTimes(-60);
    expect((await measured()).waitValue).toBe(2);
  });

  it("comes with the wait at the percentile, from twenty starts on", async () => {
    const waits = Array.from({ length: 30 }, (_, n) => n * 4);
    await started(waits.slice(0, 19), 60);
    expect((await measured({ target: TARGET })).waited).toBeNull();
    await setTimes(-35);
    await started(waits.slice(19), 30);
    const { waited } = await measured({ target: TARGET });
    expect(waited!.starts).toBe(30);
    expect(waited!.sec).toBeCloseTo(0.9 * 29 * 4, 1);
  });
});

describe("asked again", () => {
  it("answers the figures it has until they are old enough, and nothing to who knows them", async () => {
    const first = await measured();
    await queue.addTask(pool);
    expect(await measured({ everySec: 60 })).toEqual(first);
    expect(await look({ everySec: 60, knownMs: first.measuredMs })).toBeNull();
    expect((await measured()).demand).toHaveLength(1);
  });

  it("waits for no other look that measures", async () => {
    const first = await measured();
    const session = await queue.session();
    await session.rows("begin");
    await session.rows("select from pool_measurements where pool = $1 for no key update", [pool]);
    expect(await measured()).toEqual(first);
    await session.rows("rollback");
    await session.end();
    expect((await measured()).measuredMs).toBeGreaterThan(first.measuredMs);
  });
});

function sumOf({ demand }: Figures): number {
  return demand.reduce((sum, { arrivalsPerSec }) => sum + arrivalsPerSec, 0);
}

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  for (const [n, value] of expected.entries()) {
    // Times are stored in whole milliseconds.
    expect(Math.abs(found[n]! - value)).toBeLessThan(0.002);
  }
}

async function backdate(id: string, ms: number): Promise<void> {
  const session = await queue.session();
  await session.rows("set session_replication_role = replica");
  await session.rows("update tasks set updated_at = $2 where id = $1", [id, new Date(ms)]);
  await session.end();
}
