import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

interface Spend {
  readonly hourly_usd: number;
  readonly today_usd: number;
  readonly price_usd: number | null;
  readonly unpriced: number;
}

interface Caps {
  readonly p_max_hourly_usd?: number;
  readonly p_daily_usd?: number;
}

let queue: Queue;
let pool: string;
let other: string;
beforeAll(async () => {
  queue = await openQueue();
});
beforeEach(async () => {
  // The account's spend covers all pools, so no test may see the pods of another.
  await queue.rows("update workers set gone_at = now() where gone_at is null");
  await queue.rows("truncate workers cascade");
  pool = await queue.newPool();
  other = await queue.newPool();
});
afterAll(() => queue?.close());

async function spend(name = pool) {
  return (
    await queue.call<{ spend: Spend }>("pool_observe", {
      p_pool: name,
      p_known_fleet: null,
      p_full: false,
      p_poll_sec: 30,
      p_spend: true,
    })
  ).spend;
}
function reserve(name: string, count: number, caps: Caps, decision: string = randomUUID()) {
  return queue.call<{ outcome: string; workers: string[] }>("reserve_workers", {
    p_pool: name,
    p_decision_id: decision,
    p_count: count,
    p_max: 1_000,
    p_intent_version: 0,
    p_instance_type: "RTX 4090",
    ...caps,
  });
}
function rented(name: string, usd: number, columns: Readonly<Record<string, unknown>> = {}) {
  return queue.newWorker(name, { cost_per_hr_usd: usd, pod_created_at: new Date(), ...columns });
}
/** An old pod, whose price is the pool's last known one. */
function remember(name: string, usd: number) {
  const past = new Date(Date.now() - 3 * 86_400_000);
  return rented(name, usd, { status: "terminated", created_at: past, pod_created_at: past, gone_at: past });
}
async function journaled() {
  return (
    await queue.rows<{ reason: string }>(
      "select reason from pool_events where pool = $1 and kind = 'workers.reserved' order by id",
      [pool],
    )
  ).map(({ reason }) => reason);
}

describe("the account's spend", () => {
  it("counts every pod of every pool that was not seen gone, and no external worker", async () => {
    await rented(pool, 0.5);
    await rented(pool, 0.25, { status: "error" });
    await rented(other, 0.75, { status: "terminating", deleted_at: new Date() });
    await rented(other, 5, { status: "terminated", gone_at: new Date() });
    await rented(pool, 7, { origin: "external" });
    expect(await spend()).toMatchObject({ hourly_usd: 1.5, price_usd: 0.25, unpriced: 0 });
  });

  it("counts a pod without a price at its pool's last price, or else at the dearest pool's", async () => {
    expect(await spend()).toEqual({ hourly_usd: 0, today_usd: 0, price_usd: null, unpriced: 0 });
    await queue.newWorker(pool, { status: "spawning" });
    expect(await spend()).toMatchObject({ hourly_usd: 0, price_usd: null, unpriced: 1 });
    await remember(other, 0.4);
    expect(await spend()).toMatchObject({ hourly_usd: 0.4, price_usd: 0.4, unpriced: 0 });
    await remember(pool, 0.3);
    expect(await spend()).toMatchObject({ hourly_usd: 0.3, price_usd: 0.3, unpriced: 0 });
    expect(await spend(other)).toMatchObject({ hourly_usd: 0.3, price_usd: 0.4 });
  });

  it("is not read if it is not requested", async () => {
    const args = { p_pool: pool, p_known_fleet: null, p_poll_sec: 30 };
    expect(await queue.call("pool_observe", { ...args, p_full: false })).toMatchObject({ spend: null });
    expect(await queue.call("pool_observe", { ...args, p_full: true })).toMatchObject({ spend: { hourly_usd: 0 } });
  });

  it("of today begins at midnight UTC, for living and for gone workers", async () => {
    const { midnight, hours } = await queue.one<{ midnight: Date; hours: number }>(
      `select date_trunc('day', now(), 'UTC') as midnight,
        extract(epoch from now() - date_trunc('day', now(), 'UTC'))::float8 / 3600 as hours`,
    );
    const at = (fraction: number) => new Date(midnight.getTime() + fraction * hours * 3_600_000);
    const yesterday = new Date(midnight.getTime() - 5 * 3_600_000);
    await rented(pool, 1, { pod_created_at: yesterday });
    await rented(other, 1, { pod_created_at: at(0.75) });
    await rented(pool, 1, { status: "terminated", pod_created_at: yesterday, gone_at: at(0.5) });
    await rented(pool, 1, { status: "error", pod_created_at: at(0.25), deleted_at: at(0.5), gone_at: at(1) });
    await rented(pool, 1, { status: "terminated", pod_created_at: yesterday, gone_at: yesterday });
    await rented(pool, 1, {
      status: "terminated",
      pod_created_at: yesterday,
      deleted_at: new Date(midnight.getTime() - 1_000),
      gone_at: at(0.1),
    });
    await rented(pool, 1, { origin: "external", pod_created_at: yesterday });
    const { today_usd: today } = await spend();
    expect(today).toBeGreaterThanOrEqual(hours * 2 - 0.001);
    expect(today).toBeLessThan(hours * 2 + 0.1);
  });
});

describe("reserve_workers under the account's ceilings", () => {
  it("invariant 15: books as many as the rate leaves room for, then none, and journals the figures", async () => {
    await rented(other, 0.5);
    await remember(pool, 0.4);
    const caps = { p_max_hourly_usd: 1.4 };
    const first = await reserve(pool, 5, caps, "decision-1");
    expect([first.outcome, first.workers.length]).toEqual(["reserved", 2]);
    expect(await reserve(pool, 5, caps)).toMatchObject({ outcome: "over_budget", workers: [] });
    const again = await reserve(pool, 5, caps, "decision-1");
    expect(again).toMatchObject({ outcome: "already_reserved", workers: first.workers });
    const [booked, refused] = await journaled();
    expect(booked).toMatch(
      /^2 of 5 asked \(0 present, at most 1000; \$0\.50 an hour of at most \$1\.4, \$0\.0\d today, \$0\.4 a worker\): reserved$/,
    );
    expect(refused).toMatch(
      /^0 of 5 asked \(2 present, at most 1000; \$1\.30 an hour of at most \$1\.4, .*\): over_budget$/,
    );
    const event = await queue.one("select details from pool_events where pool = $1 and reason = $2", [pool, refused]);
    expect(event).toMatchObject({
      details: { outcome: "over_budget", spend: { hourly_usd: 1.3, price_usd: 0.4, unpriced: 0, max_hourly_usd: 1.4 } },
    });
  });

  it("books one worker while no price is known, and waits for the first pod's price", async () => {
    const caps = { p_max_hourly_usd: 2 };
    const [first] = (await reserve(pool, 5, caps)).workers;
    expect(await reserve(pool, 5, caps)).toMatchObject({ outcome: "over_budget", workers: [] });
    await queue.rows("update workers set cost_per_hr_usd = 0.5, pod_created_at = now() where id = $1", [first]);
    expect((await reserve(pool, 5, caps)).workers).toHaveLength(3);
    expect((await journaled())[0]).toContain("price not known");
  });

  it("books none when the day's budget is spent, at any rate, and all requested ones before", async () => {
    const midnight = await queue.one<{ at: Date }>("select date_trunc('day', now(), 'UTC') as at");
    await rented(other, 1_000, { pod_created_at: midnight.at, status: "terminated", gone_at: new Date() });
    const { today_usd: today } = await spend();
    expect((await reserve(pool, 3, { p_daily_usd: today + 1 })).workers).toHaveLength(3);
    expect(await reserve(pool, 3, { p_daily_usd: today })).toMatchObject({ outcome: "over_budget", workers: [] });
    expect(await reserve(pool, 3, { p_daily_usd: today, p_max_hourly_usd: 99 })).toMatchObject({
      outcome: "over_budget",
    });
    expect((await reserve(pool, 3, {})).workers).toHaveLength(3);
  });

  it.each([{ p_max_hourly_usd: 1 }, { p_daily_usd: 1 }, { p_max_hourly_usd: 1, p_daily_usd: 1 }])(
    "invariant 17: a price of zero is no price: one worker at a time under %o",
    async (caps) => {
      await remember(pool, 0);
      const { workers: booked } = await reserve(pool, 3, caps);
      expect(booked).toHaveLength(1);
      await queue.rows("update workers set cost_per_hr_usd = 0, pod_created_at = now() where id = any($1)", [booked]);
      expect(await spend()).toMatchObject({ hourly_usd: 0, price_usd: null, unpriced: 1 });
      expect(await reserve(pool, 3, caps)).toMatchObject({ outcome: "over_budget", workers: [] });
      await remember(other, 0.4);
      expect(await spend()).toMatchObject({ hourly_usd: 0.4, price_usd: 0.4, unpriced: 0 });
    },
  );

  it("a worker that never had a pod is not in the day's sum", async () => {
    await remember(pool, 1_000);
    await queue.newWorker(pool, { status: "spawning" });
    await queue.newWorker(pool, { status: "error", gone_at: new Date() });
    expect(await spend()).toMatchObject({ hourly_usd: 1_000, today_usd: 0 });
  });

  it("invariant 17: a pod of unknown price counts in the day's sum at the last known price", async () => {
    const midnight = await queue.one<{ at: Date }>("select date_trunc('day', now(), 'UTC') as at");
    await remember(pool, 1_000);
    for (const price of [0, null]) {
      await queue.newWorker(pool, { cost_per_hr_usd: price, pod_created_at: midnight.at });
      const ended = { status: "terminated", pod_created_at: midnight.at, gone_at: new Date() };
      await queue.newWorker(other, { cost_per_hr_usd: price, ...ended });
    }
    const { sec } = await queue.one<{ sec: number }>("select extract(epoch from now() - $1)::float8 as sec", [
      midnight.at,
    ]);
    const { today_usd: today } = await spend();
    expect(today).toBeGreaterThan((4 * 1_000 * (sec - 60)) / 3600);
    expect(today).toBeLessThan((4 * 1_000 * (sec + 60)) / 3600);
  });

  it("invariant 15: two pools that reserve at once never exceed the account's rate together", async () => {
    await remember(pool, 0.3);
    await remember(other, 0.45);
    const caps = { p_max_hourly_usd: 5, p_daily_usd: 1_000 };
    const requests = Array.from({ length: 20 }, (_, i) => reserve(i % 2 === 0 ? pool : other, 2, caps));
    const answers = await Promise.all(requests);
    const booked = answers.flatMap(({ workers }) => workers);
    const of = (name: string) => booked.filter((id) => id.startsWith(name)).length;
    const rate = of(pool) * 0.3 + of(other) * 0.45;
    expect(rate).toBeLessThanOrEqual(5);
    expect(rate).toBeGreaterThan(5 - 0.45);
    expect(answers.some(({ outcome }) => outcome === "over_budget")).toBe(true);
    expect((await spend()).hourly_usd).toBeCloseTo(rate, 4);
  });
});
