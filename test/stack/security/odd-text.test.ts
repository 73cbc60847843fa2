import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { type PoolStore, poolStore } from "../../../src/supabase/pool-store.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

const odd = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("\0", "\ud83c", "\udfac\0", "\u202emirrored", "🎬"),
);

describe("a text of any characters", () => {
  let api: QueueApi;
  let pools: PoolStore;
  beforeAll(async () => {
    api = await openQueueApi();
    pools = poolStore(connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey }));
  });
  afterAll(() => api?.close());

  it("invariant 16: is stored through the TypeScript door, in texts and in JSON", async () => {
    const pool = await api.queue.newPool();
    const entries: { kind: string; reason: string }[] = [];
    await fc.assert(
      fc.asyncProperty(
        odd,
        odd,
        fc.dictionary(odd, fc.jsonValue({ stringUnit: odd, maxDepth: 3 })),
        async (...entry) => {
          const [kind, reason, details] = entry;
          await pools.journal(pool, `odd ${kind}`, reason, details);
          entries.push({ kind: `odd ${kind}`, reason });
        },
      ),
      { numRuns: 60 },
    );
    const stored = await api.queue.rows<{ kind: string; reason: string }>(
      "select kind, reason from pool_events where pool = $1 and kind like 'odd %' order by id",
      [pool],
    );
    const asUtf8 = (text: string) => Buffer.from(text.replaceAll("\0", "\ufffd")).toString();
    const expected = entries.map(({ kind, reason }) => ({ kind: asUtf8(kind), reason: asUtf8(reason) }));
    expect(stored).toEqual(expected);
  });

  it("a megabyte long is stored, and 500 levels of JSON are", async () => {
    const pool = await api.queue.newPool();
    const deep = JSON.parse(`${"[".repeat(498)}${"]".repeat(498)}`) as unknown;
    await pools.journal(pool, "long", "🎬\0".repeat(350_000), { deep });
    const [{ length } = { length: 0 }] = await api.queue.rows<{ length: number }>(
      "select length(reason) as length from pool_events where pool = $1 and kind = 'long'",
      [pool],
    );
    expect(length).toBe(700_000);
  });
});
