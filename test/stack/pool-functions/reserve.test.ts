import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

interface Reserved {
  readonly outcome: string;
  readonly workers: readonly string[];
}

describe("reserve_workers", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  const reserve = (count: number, max: number, decision: string = randomUUID(), intentVersion = 0) =>
    queue.call<Reserved>("reserve_workers", {
      p_pool: pool,
      p_decision_id: decision,
      p_count: count,
      p_max: max,
      p_intent_version: intentVersion,
      p_instance_type: "RTX 4090",
    });
  const present = async () =>
    (await queue.rows("select 1 from workers where pool = $1 and gone_at is null", [pool])).length;
  const journaled = () =>
    queue.rows<{ reason: string }>("select reason from pool_events where pool = $1 and kind = 'workers.reserved'", [
      pool,
    ]);

  it("books spawning workers named after the pool, and journals the booked and the requested number", async () => {
    const { outcome, workers } = await reserve(2, 10, "decision-1");
    expect(outcome).toBe("reserved");
    expect(workers).toHaveLength(2);
    for (const id of workers) {
      expect(id).toMatch(new RegExp(`^${pool}-[0-9a-f]{8}$`));
      expect(await queue.one("select * from workers where id = $1", [id])).toMatchObject({
        pool,
        status: "spawning",
        origin: "pool",
        instance_type: "RTX 4090",
        decision_id: "decision-1",
        boot_stage: "reserved",
        post_state: null,
      });
    }
    expect(await journaled()).toMatchObject([{ reason: "2 of 2 asked (0 present, at most 10): reserved" }]);
  });

  it("books once for a decision, however often it is repeated, also at the same time", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => reserve(3, 10, "decision-2")));
    expect(await present()).toBe(3);
    expect(answers.filter(({ outcome }) => outcome === "reserved")).toHaveLength(1);
    expect(answers.filter(({ outcome }) => outcome === "already_reserved")).toHaveLength(7);
    expect(new Set(answers.map(({ workers }) => workers.toSorted().join())).size).toBe(1);
    expect(await journaled()).toHaveLength(1);
  });

  it("never exceeds MAX, and returns an empty list at MAX and above", async () => {
    expect((await reserve(5, 3)).workers).toHaveLength(3);
    expect(await reserve(2, 3)).toMatchObject({ outcome: "reserved", workers: [] });
    expect(await reserve(2, 1)).toMatchObject({ outcome: "reserved", workers: [] });
    expect(await present()).toBe(3);
  });

  it("counts spawning and active workers towards MAX, and not those that leave", async () => {
    await queue.newWorker(pool, { status: "spawning" });
    await queue.newWorker(pool, { status: "active" });
    await queue.newWorker(pool, { status: "terminating" });
    await queue.newWorker(pool, { status: "error" });
    await queue.newWorker(pool, { status: "terminated", gone_at: new Date() });
    await queue.newWorker(await queue.newPool());
    expect((await reserve(9, 5)).workers).toHaveLength(3);
  });

  it("never exceeds MAX, however many decisions reserve at once", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => reserve(3, 7)));
    expect(answers.flatMap(({ workers }) => workers)).toHaveLength(7);
    expect(await present()).toBe(7);
  });

  it("books none if the intent has changed since the decision, and journals that", async () => {
    await queue.call("pool_set_intent", { p_pool: pool, p_kind: "drain", p_mode: "draining" });
    expect(await reserve(2, 10, randomUUID(), 0)).toMatchObject({ outcome: "stale_intent", workers: [] });
    expect(await present()).toBe(0);
    expect(await journaled()).toMatchObject([{ reason: "0 of 2 asked (0 present, at most 10): stale_intent" }]);
    expect((await reserve(2, 10, randomUUID(), 1)).workers).toHaveLength(2);
  });

  it("books none for a decision from before the pool's latest start, because no process would start the workflows", async () => {
    const early = await reserve(1, 10);
    expect(await queue.call("pool_open", { p_pool: pool })).toEqual({ living: early.workers });
    expect(await reserve(2, 10, randomUUID(), 0)).toMatchObject({ outcome: "stale_intent", workers: [] });
    expect(await present()).toBe(1);
    expect((await reserve(2, 10, randomUUID(), 1)).workers).toHaveLength(2);
  });

  it("happens entirely before or after a change of the intent at the same moment", async () => {
    const [operator, reserver] = [await queue.session(), await queue.session()];
    await operator.rows("begin");
    await operator.call("pool_set_intent", { p_pool: pool, p_kind: "pause", p_mode: "paused" });
    const reserving = reserver.call<Reserved>("reserve_workers", {
      p_pool: pool,
      p_decision_id: randomUUID(),
      p_count: 2,
      p_max: 10,
      p_intent_version: 0,
      p_instance_type: "RTX 4090",
    });
    await queue.untilBlocked(reserver);
    await operator.rows("commit");
    expect(await reserving).toMatchObject({ outcome: "stale_intent", workers: [] });
  });
});
