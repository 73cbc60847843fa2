import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

describe("an account without funds", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
    await queue.rows("delete from no_funds");
    await queue.rows("delete from alerts");
  });
  afterAll(() => queue?.close());

  const reserve = (of = pool, count = 3, more: Readonly<Record<string, unknown>> = { p_no_funds_probe_min: 5 }) =>
    queue.call<{ outcome: string; workers: string[] }>("reserve_workers", {
      p_pool: of,
      p_decision_id: randomUUID(),
      p_count: count,
      p_max: 10,
      p_intent_version: 0,
      p_instance_type: "RTX 4090",
      ...more,
    });
  const post = (worker: string) =>
    queue.call<string>("worker_begin_post", { p_worker_id: worker, p_token_hash: randomUUID(), p_lifetime_sec: 60 });
  const refuse = async (worker: string) => {
    await queue.call("note_no_funds", { p_worker_id: worker, p_reason: "HTTP 402: balance is too low" });
    await queue.call("worker_rearm_post", { p_worker_id: worker, p_reason: "funds" });
    return await queue.call("fail_worker", { p_worker_id: worker, p_lease_cause: "host_lost", p_reason: "refused" });
  };
  const record = (worker: string) =>
    queue.call("worker_record_pod", {
      p_worker_id: worker,
      p_pod_id: `pod-${worker}`,
      p_cost_per_hr_usd: 0.5,
      p_created_at: null,
      p_adopted: false,
    });
  const pass = (minutes: number) =>
    queue.rows("update no_funds set tried_at = tried_at - make_interval(mins => $1)", [minutes]);
  const openAlerts = () => queue.rows("select kind, subject, pool from alerts where closed_at is null");
  const observed = () =>
    queue.call<{ no_funds: object | null; breaker: { failed: number } }>("pool_observe", {
      p_pool: pool,
      p_known_fleet: null,
      p_full: false,
      p_poll_sec: 30,
      p_min_boots: 5,
    });

  it("is told by one refusal: workers that wait do not post, no pool books another, and one alert is open", async () => {
    const { workers } = await reserve();
    expect(await post(workers[0]!)).toBe("elected");
    await refuse(workers[0]!);
    expect(await Promise.all(workers.map(post))).toEqual(["not_elected", "no_funds", "no_funds"]);
    expect(await reserve()).toEqual({ outcome: "no_funds", workers: [], now_ms: expect.any(Number) as number });
    expect(await reserve(await queue.newPool())).toMatchObject({ outcome: "no_funds" });
    expect(await reserve(pool, 3, {})).toMatchObject({ outcome: "no_funds" });
    expect(await openAlerts()).toEqual([{ kind: "no_funds", subject: "account", pool: null }]);
    expect((await observed()).no_funds).toEqual({ since_ms: expect.any(Number), tried_ms: expect.any(Number) });
  });

  it("invariant 13: does not count for the breaker, neither for workers that were refused nor for those that waited", async () => {
    const { workers } = await reserve();
    await post(workers[0]!);
    for (const worker of workers) {
      await (worker === workers[0] ? refuse(worker) : post(worker));
    }
    for (const worker of workers.slice(1)) {
      await queue.call("fail_worker", { p_worker_id: worker, p_lease_cause: "host_lost", p_reason: "refused" });
    }
    expect(await queue.rows("select status from workers where pool = $1 group by 1", [pool])).toEqual([
      { status: "error" },
    ]);
    expect((await observed()).breaker.failed).toBe(0);
  });

  it("is tried with one worker of one pool in each interval, until a pod is created", async () => {
    const [first] = (await reserve()).workers;
    await post(first!);
    await refuse(first!);
    await pass(5);
    const other = await queue.newPool();
    const answers = await Promise.all([reserve(), reserve(other)]);
    const probes = answers.flatMap(({ workers }) => workers);
    expect(probes).toHaveLength(1);
    expect(await post(probes[0]!)).toBe("elected");
    await refuse(probes[0]!);
    expect(await reserve()).toMatchObject({ outcome: "no_funds" });
    await pass(5);
    const [probe] = (await reserve()).workers;
    expect(await post(probe!)).toBe("elected");
    await record(probe!);
    expect(await openAlerts()).toEqual([]);
    expect((await observed()).no_funds).toBeNull();
    expect((await reserve()).workers).toHaveLength(3);
  });

  it("is not shown to have funds by a request that was sent before the refusal", async () => {
    const { workers } = await reserve();
    await Promise.all(workers.slice(0, 2).map(post));
    await refuse(workers[0]!);
    await record(workers[1]!);
    expect(await openAlerts()).toHaveLength(1);
    expect(await reserve()).toMatchObject({ outcome: "no_funds" });
  });
});
