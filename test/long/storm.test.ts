import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../kit/queue.ts";
import { weatherStorm } from "../kit/storm/storm.ts";

const SEEDS = process.env["STORM_SEED"] === undefined ? [1, 2, 3, 4] : [Number(process.env["STORM_SEED"])];

describe.each(SEEDS)("a long storm of calls at the queue (seed %d)", (seed) => {
  let queue: Queue;
  beforeAll(async () => {
    queue = await openQueue();
  });
  afterAll(() => queue?.close());

  it.each([false, true])("loses nothing and leases nothing twice (limits change: %s)", async (limitsChange) => {
    const { counts } = await weatherStorm(queue, { seed, workers: 12, calls: 400, limitsChange });
    expect(counts.get("finish_and_claim")).toBeGreaterThan(100);
  });
});
