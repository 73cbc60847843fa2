import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Message } from "../../../src/contract/pool-api.ts";
import { addSignal, fold, type ReadSignal, type SignalBatch } from "../../../src/contract/signal-batch.ts";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { poolStore, type PoolStore } from "../../../src/supabase/pool-store.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

const message = fc.oneof(
  fc.record({
    kind: fc.constant("scale" as const),
    target: fc.option(fc.integer({ min: 0, max: 9 })),
    forSec: fc.option(fc.constantFrom(1_000, 2_000, 3_000)),
  }),
  fc.constantFrom<Message>({ kind: "pause" }, { kind: "resume" }, { kind: "drain" }),
);
const signals = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: message.map((value): ReadSignal => ({ message: value })) },
    { weight: 1, arbitrary: fc.constant<ReadSignal>({ ignored: { kind: "dance", reason: "unknown signal" } }) },
  ),
  { minLength: 1, maxLength: 12 },
);

function batchOf(all: readonly ReadSignal[]): SignalBatch {
  return all.reduce<SignalBatch | null>((batch, each, index) => addSignal(batch, index + 1, each), null)!;
}

describe("signals that are written to a pool's row", () => {
  let api: QueueApi;
  let pools: PoolStore;
  let pool: string;
  const start = { first: "run-1", run: "run-1", lasting: true };
  const open = async () => {
    pool = `p${randomUUID().slice(0, 8)}`;
    await pools.open(pool, {}, start);
    await api.queue.rows("update pools set breaker = 'open' where name = $1", [pool]);
  };
  const row = async () => {
    const statement = `select mode, hold, breaker, round(extract(epoch from hold_until - now()) / 500)::int as until
      from pools where name = $1`;
    const [found] = await api.queue.rows<object>(statement, [pool]);
    return found;
  };
  const kinds = async () => {
    const statement = "select kind, details from pool_events where pool = $1 and kind like 'message.%' order by id";
    return await api.queue.rows<{ kind: string; details: object }>(statement, [pool]);
  };
  beforeAll(async () => {
    api = await openQueueApi();
    pools = poolStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
  });
  beforeEach(open);
  afterAll(() => api?.close());

  it("invariant 18: leave the row as if each had been written by itself, folded or not", async () => {
    await fc.assert(
      fc.asyncProperty(signals, async (all) => {
        await open();
        for (const each of all) {
          await ("message" in each ? pools.setIntent(pool, each.message) : null);
        }
        const expected = await row();
        for (const batch of [batchOf(all), fold(batchOf(all))]) {
          await open();
          expect(await pools.writeSignals(pool, "run-1", batch)).toBeNull();
          expect(await row()).toEqual(expected);
        }
      }),
      { numRuns: 25 },
    );
  });

  it("invariant 18: take effect once, also where a longer batch holds them again", async () => {
    const first = batchOf([{ message: { kind: "pause" } }, { message: { kind: "scale", target: 3, forSec: null } }]);
    await pools.writeSignals(pool, "run-1", first);
    await pools.setIntent(pool, { kind: "resume" });
    await pools.writeSignals(pool, "run-1", first);
    await pools.writeSignals(pool, "run-1", addSignal(first, 3, { ignored: { kind: "dance", reason: "unknown" } }));
    expect(await row()).toMatchObject({ mode: "normal", hold: 3 });
    expect((await kinds()).map(({ kind }) => kind)).toEqual([
      "message.pause",
      "message.scale",
      "message.resume",
      "message.ignored",
    ]);
  });

  it("are not written for another run until it says how it counts", async () => {
    const batch = batchOf([{ message: { kind: "pause" } }, { message: { kind: "drain" } }]);
    await pools.writeSignals(pool, "run-1", batch);
    expect(await pools.writeSignals(pool, "run-2", batch)).toEqual({ run: "run-1", written: 2 });
    await pools.countSignals(pool, "run-1", { run: "run-2", written: 1 }, "it was reset");
    await pools.countSignals(pool, "run-1", { run: "run-3", written: 0 }, "too late");
    expect(await pools.writeSignals(pool, "run-2", batch)).toBeNull();
    expect((await kinds()).map(({ kind }) => kind)).toEqual(["message.pause", "message.drain", "message.drain"]);
    const reset = await api.queue.rows("select reason from pool_events where pool = $1 and kind = 'pool.reset'", [
      pool,
    ]);
    expect(reset).toEqual([{ reason: "it was reset" }]);
  });

  it("are counted in the journal when they are folded", async () => {
    const scale: ReadSignal = { message: { kind: "scale", target: 1, forSec: null } };
    const dance: ReadSignal = { ignored: { kind: "dance", reason: "unknown signal" } };
    await pools.writeSignals(pool, "run-1", fold(batchOf([...Array.from({ length: 9 }, () => scale), dance])));
    expect(await kinds()).toMatchObject([
      { kind: "message.scale" },
      { kind: "message.ignored" },
      { kind: "message.folded", details: { scale: 8 } },
    ]);
  });

  it("are counted anew by a new start, and a reset to the first task is none", async () => {
    await pools.writeSignals(pool, "run-1", batchOf([{ message: { kind: "pause" } }]));
    await pools.reconfigure(pool, { maxActiveGpus: 4 });
    await pools.setIntent(pool, { kind: "shutdown" });
    await pools.open(pool, { maxActiveGpus: 1 }, { first: "run-1", run: "run-1b", lasting: true });
    const config = async () => (await pools.find(pool))?.own;
    expect(await config()).toEqual({ maxActiveGpus: 4 });
    expect(await row()).toMatchObject({ mode: "closing" });
    expect(
      await pools.writeSignals(pool, "run-1b", batchOf([]) ?? { last: 0, messages: [], ignored: [], folded: {} }),
    ).toEqual({
      run: "run-1",
      written: 1,
    });
    // A signal may be written before the pool is opened.
    await pools.countSignals(pool, "run-1", { run: "run-2", written: 0 }, null);
    await pools.writeSignals(pool, "run-2", batchOf([{ message: { kind: "drain" } }]));
    await pools.setIntent(pool, { kind: "shutdown" });
    await pools.open(pool, { maxActiveGpus: 1 }, { first: "run-2", run: "run-2", lasting: true });
    expect(await config()).toEqual({ maxActiveGpus: 1 });
    expect(await row()).toMatchObject({ mode: "normal" });
    await pools.writeSignals(pool, "run-2", batchOf([{ message: { kind: "drain" } }]));
    expect(await row()).toMatchObject({ mode: "normal" });
    await pools.writeSignals(pool, "run-2", batchOf([{ message: { kind: "pause" } }, { message: { kind: "drain" } }]));
    expect(await row()).toMatchObject({ mode: "draining" });
  });
});
