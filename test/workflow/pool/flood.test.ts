import { describe, expect, it } from "vitest";
import { poolSignals, poolUpdates } from "../../../src/contract/pool-api.ts";
import { until } from "../../kit/workflow/fake-service.ts";
import { currentRun, flood, withLateStage } from "../../kit/workflow/floods.ts";

/** What a signal of the flood is, by its index. The last of each kind decides. */
function mixed(index: number): readonly [string, ...unknown[]] {
  const kinds = [
    [poolSignals.scale.name, { target: index % 10 }],
    [poolSignals.pause.name],
    [poolSignals.scale.name, { target: null }],
    [poolSignals.resume.name],
    [poolSignals.drain.name],
    ["dance", { steps: index }],
    [poolSignals.scale.name, { target: "🎬".repeat(60) }],
    ["__temporal_unknown"],
  ] as const;
  return kinds[index % kinds.length]!;
}

describe("a flood of messages to a pool", () => {
  it("invariant 18: that came while nothing served it is folded within a minute, and every update is answered", async () => {
    const count = 6_000;
    await withLateStage(async (stage, service) => {
      const pool = await stage.startPool();
      const current = currentRun(stage.temporal, pool);
      await flood(pool, count, mixed);
      await pool.signal(poolSignals.scale, { target: 3 });
      await pool.signal(poolSignals.pause);
      const answers = Promise.all([
        pool.executeUpdate(poolUpdates.reconfigure, { args: [{ maxActiveGpus: 2 }] }),
        pool.executeUpdate(poolUpdates.scale, { args: [{ target: 4, for: 60 }] }),
        pool.executeUpdate(poolUpdates.drainWorker, { args: [{ worker: "nobody" }] }),
      ]);
      const servedAtMs = Date.now();
      await service.serve();
      const [settings, intent, order] = await answers;
      expect(Date.now() - servedAtMs).toBeLessThan(60_000);
      expect(settings).toMatchObject({ settings: { own: ["maxActiveGpus"] } });
      expect(intent).toMatchObject({ mode: "paused", hold: 4 });
      expect(order).toMatchObject({ outcome: "unknown" });

      expect(stage.messages.length).toBeLessThanOrEqual(101);
      expect(stage.messages.slice(-3, -1)).toEqual([{ kind: "scale", target: 3, forSec: null }, { kind: "pause" }]);
      expect(stage.ignored.length).toBeGreaterThanOrEqual(3);
      const folded = Object.values(stage.folded).reduce((sum, each) => sum + each, 0);
      expect(folded + stage.messages.length - 1 + stage.ignored.length).toBe(count + 2);
      expect(stage.folded).toMatchObject({ ignored: expect.any(Number), scale: expect.any(Number) });

      // A history that long is replayed at each loss of the cache.
      await until(
        async () => (await current.describe()).historyLength,
        (length) => expect(length).toBeLessThan(1_000),
      );
      expect(await current.executeUpdate(poolUpdates.resume)).toMatchObject({ mode: "normal", hold: 4 });
      expect(await stage.status()).toMatchObject({ messages: count + 6 });
      expect(stage.called("openPool")).toHaveLength(1);
    });
  });
});
