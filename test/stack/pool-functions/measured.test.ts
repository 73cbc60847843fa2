import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bootSecOf, quantilesSecOf } from "../../../src/policy/latency/samples.ts";
import type { Figures } from "../../../src/supabase/measured/figures.ts";
import { addEnded } from "../../kit/ended-tasks.ts";
import { age, look, type LookRequest, measuredOf } from "../../kit/measuring.ts";
import { openQueue, type Queue } from "../../kit/queue.ts";

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
      priorsSec: expect.not.objectContaining({ t2v: expect.anything() as number }) as unknown,
      demand: [],
      coming: [],
      waitValue: null,
      waited: null,
    });
  });

  it("measures nothing unless it is asked to", async () => {
    const args = { p_pool: pool, p_known_fleet: null, p_full: true, p_poll_sec: 30 };
    await queue.call("pool_observe", args);
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
    await age(queue, pool, 31);
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
    await addEnded(
      queue,
      pool,
      worker,
      first.map((seconds) => ({ seconds })),
      120,
    );
    expect((await measured()).services).toMatchObject([{ model: null, samples: 390 }]);
    expect((await measured()).services).toMatchObject([{ model: null, samples: 390 }]);
    await age(queue, pool, 100);
    await addEnded(
      queue,
      pool,
      worker,
      second.map((seconds) => ({ seconds })),
      60,
    );
    const [service] = (await measured()).services;
    expect(service!.samples).toBe(400);
    expectClose(service!.quantilesSec, quantilesSecOf([...first, ...second]));
  });

  it("count tasks that ended well, not those that failed or were given back", async () => {
    const worker = await queue.newWorker(pool);
    await addEnded(queue, pool, worker, [
      { seconds: 50 },
      { seconds: 1, cause: "task_error" },
      { seconds: 7, cause: "delegated" },
    ]);
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
    await age(queue, pool, -3_600);
    await addEnded(queue, pool, worker, [{ seconds: 60 }], 30);
    expect((await measured()).services).toMatchObject([{ samples: 2 }]);
  });

  it("come with what operators expect of a type", async () => {
    await queue.rows("insert into task_types (name, expected_sec) values ('long_video', 900)");
    expect((await measured()).priorsSec).toMatchObject({ long_video: 900, extract_frame: 10 });
    await queue.rows("delete from task_types where name = 'long_video'");
  });
});

describe("asked again", () => {
  it("answers the figures it has until they are old enough, and nothing to who knows them", async () => {
    const first = await measured();
    await queue.addTask(pool);
    expect(await measured({ full: false, everySec: 60 })).toEqual(first);
    expect(await look(queue, pool, { full: false, everySec: 60, knownMs: first.measuredMs })).toBeNull();
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

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  for (const [n, value] of expected.entries()) {
    // Times are stored in whole milliseconds.
    expect(Math.abs(found[n]! - value)).toBeLessThan(0.002);
  }
}
