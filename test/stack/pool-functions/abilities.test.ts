import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

interface Reading {
  readonly queued: number;
  readonly task_types: readonly string[] | null;
  readonly undone: readonly { readonly task_type: string; readonly tasks: number }[] | null;
  readonly unfit: readonly string[];
  readonly waiting_since_ms: number | null;
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

async function observe(types: readonly string[] | null, full = true): Promise<Reading> {
  const { answer } = await queue.one<{ answer: Reading }>(
    "select pool_observe($1, null, $2, 30, p_task_types => $3) as answer",
    [pool, full, types],
  );
  return answer;
}
function add(type: string, count = 1): Promise<string[]> {
  return queue.addTasks(pool, count, { task_type: type });
}
function state(worker: string, types: readonly string[] | null): Promise<unknown> {
  return queue.rows("select worker_can_do($1, $2)", [worker, types]);
}

/** A ready worker that the pool booked after its settings changed. */
async function spawned(types: readonly string[], columns: object = {}): Promise<string> {
  const [worker] = await queue.newWorkers(pool, 1, { origin: "pool", ready_at: new Date().toISOString(), ...columns });
  await state(worker!, types);
  return worker!;
}

describe("the count of an observation", () => {
  it("is what the profile's workers can do, and what nobody can do is named", async () => {
    await add("t2v", 3);
    await add("comfy", 2);
    await add("own type");
    expect(await observe(null)).toMatchObject({ queued: 6, undone: [], task_types: null });
    expect(await observe(["t2v", "flux"])).toMatchObject({
      queued: 3,
      undone: [
        { task_type: "comfy", tasks: 2 },
        { task_type: "own type", tasks: 1 },
      ],
    });
    expect(await observe(["t2v", "flux"], false)).toMatchObject({ queued: 3, undone: null });
    expect(await observe([])).toMatchObject({ queued: 0, unfit: [] });
    expect(await queue.call("pool_undone", { p_pool: pool })).toHaveLength(3);
    // Other readers are told what the last full pass was told.
    await observe(["comfy"]);
    expect(
      await queue.call("pool_observe", { p_pool: pool, p_known_fleet: null, p_full: false, p_poll_sec: 30 }),
    ).toMatchObject({ queued: 2, task_types: ["comfy"] });
  });

  it("leaves what nobody can do out of the wait, and takes what a living worker can do into it", async () => {
    const [old] = await add("comfy");
    await queue.rows("alter table tasks disable trigger user");
    await queue.rows(
      "update tasks set created_at = now() - interval '1 day', updated_at = now() - interval '1 day' where id = $1",
      [old],
    );
    await queue.rows("alter table tasks enable trigger user");
    await add("t2v");
    const { waiting_since_ms: since } = await observe(["t2v"]);
    expect(since).toBeGreaterThan(Date.now() - 3_600_000);
    await state(await queue.newWorker(pool), ["comfy"]);
    const later = await observe(["t2v"]);
    expect(later).toMatchObject({ queued: 1, undone: [] });
    expect(later.waiting_since_ms).toBeLessThan(Date.now() - 3_600_000);
  });

  it("believes what the newest worker said of itself more than the profile", async () => {
    await add("t2v");
    await add("comfy");
    await spawned(["t2v", "comfy"]);
    await spawned(["t2v"], { ready_at: new Date(Date.now() + 1_000).toISOString() });
    expect(await observe(["t2v", "comfy"])).toMatchObject({ queued: 1, task_types: ["t2v"], undone: [] });
    // After a change of the settings the next worker may be another one.
    await queue.call("pool_reconfigure", { p_pool: pool, p_patch: { minActiveGpus: 1 } });
    expect(await observe(["t2v", "comfy"])).toMatchObject({ queued: 2, task_types: ["t2v", "comfy"] });
  });

  it("forgets it a day after that worker was booked, unless it lives", async () => {
    await queue.rows("update pools set updated_at = now() - interval '9 days' where name = $1", [pool]);
    const booked = { created_at: new Date(Date.now() - 2 * 86_400_000).toISOString() };
    const worker = await spawned(["t2v"], booked);
    expect(await observe(["comfy"])).toMatchObject({ task_types: ["t2v"] });
    await queue.rows("update workers set status = 'terminated', gone_at = now() where id = $1", [worker]);
    expect(await observe(["comfy"])).toMatchObject({ task_types: ["comfy"] });
  });

  it("names the idle workers that can do nothing of it", async () => {
    const able = await queue.newWorker(pool, { task_types: ["t2v"] });
    const undecided = await queue.newWorker(pool);
    const unfit = await queue.newWorker(pool, { origin: "external", task_types: ["comfy"] });
    const held = await queue.newWorker(pool, { task_types: ["comfy"] });
    await add("comfy");
    await queue.lease(held);
    await add("t2v");
    expect((await observe(["t2v"])).unfit).toEqual([unfit]);
    // comfy is not what the next worker could do, so whoever can do it is no capacity for what is counted.
    await add("comfy");
    expect((await observe(["t2v"])).unfit).toEqual([unfit]);
    expect((await observe(["t2v", "comfy"])).unfit).toEqual([]);
    expect([able, undecided]).not.toContain(unfit);
  });

  it("counts no silent machine among those that can", async () => {
    await add("comfy");
    const quiet = await queue.newWorker(pool, { origin: "external", task_types: ["comfy"] });
    expect((await observe(["t2v"])).undone).toHaveLength(1);
    await queue.rows("update workers set last_heartbeat = now() where id = $1", [quiet]);
    expect((await observe(["t2v"])).undone).toEqual([]);
  });
});

it("a booked worker can do what its launch profile is known for, until it says itself", async () => {
  const { answer } = await queue.one<{ answer: { workers: string[] } }>(
    "select reserve_workers($1, 'decision', 1, 5, 0, 'gpu', p_task_types => '{t2v,video_generation}') as answer",
    [pool],
  );
  const [worker] = answer.workers;
  const row = () =>
    queue.one("select task_types, task_types_at is not null as said from workers where id = $1", [worker]);
  expect(await row()).toEqual({ task_types: ["generate_video", "t2v", "video_generation"], said: false });
  await state(worker!, ["own"]);
  expect(await row()).toEqual({ task_types: ["own"], said: true });
});

it("the demand that is measured is what the pool's workers can do", async () => {
  await add("comfy", 250);
  await add("t2v", 2);
  const measured = await queue.one<{ answer: { demand: { task_type: string; queued: number }[] } }>(
    "select pool_measure($1, 2, 'the fleet', true, 0, null, null, '{t2v}') as answer",
    [pool],
  );
  expect(measured.answer.demand).toMatchObject([{ task_type: "t2v", queued: 2 }]);
});
