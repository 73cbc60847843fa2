import { describe, expect, it } from "vitest";
import { poolSignals, poolUpdates } from "../../../src/contract/pool-api.ts";
import { until } from "../../kit/workflow/fake-service.ts";
import { currentRun, flood, withLateStage } from "../../kit/workflow/floods.ts";
import { withKit } from "../../kit/workflow/kit.ts";

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
  it(
    "invariant 18: is written by the next run where its run ended first, and each signal once",
    withKit(async (kit) => {
      const scale = (target: number) => ({ kind: "scale", target, forSec: null }) as const;
      const messages = [
        { place: 5, message: scale(1) },
        { place: 6, message: { kind: "pause" } },
        { place: 7, message: scale(2) },
      ] as const;
      // As if the run before had written the first one, and had ended before it knew.
      kit.signals = 5;
      const waiting = { last: 7, messages, ignored: [], folded: { scale: 4 } };
      const pool = await kit.startPool({ carried: { snapshot: null, watches: 1, messages: 9, signals: 7, waiting } });
      await pool.signal(poolSignals.scale, { target: 3 });
      expect(await pool.executeUpdate(poolUpdates.resume)).toMatchObject({ hold: 3 });
      expect(kit.messages).toEqual([{ kind: "pause" }, scale(2), scale(3), { kind: "resume" }]);
      expect(kit.folded).toEqual({ scale: 4 });
      expect(await kit.status()).toMatchObject({ messages: 11 });
    }),
  );

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
