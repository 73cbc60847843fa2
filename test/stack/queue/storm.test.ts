import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";
import { weatherStorm } from "../../kit/storm/storm.ts";

const seed = Number(process.env["STORM_SEED"] ?? 1);

describe(`a storm of calls at the queue (seed ${seed})`, () => {
  let queue: Queue;
  beforeAll(async () => {
    queue = await openQueue();
  });
  afterAll(() => queue?.close());

  it("leases no task twice, loses none, counts right, keeps limits, leaves no place unused and does not deadlock", async () => {
    const { counts } = await weatherStorm(queue, { seed, workers: 5, calls: 40, limitsChange: false });
    expect([...counts.keys()]).toEqual(expect.arrayContaining(["finish_and_claim", "fail_worker", "delete"]));
  });

  it("also while limits and pauses change, where Postgres may have to end a deadlock", async () => {
    const { counts } = await weatherStorm(queue, { seed, workers: 3, calls: 30, limitsChange: true });
    expect(counts.get("limits")).toBeGreaterThan(0);
  });
});
