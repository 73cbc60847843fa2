import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import { countTasks, expectDoneOnce, expectNothingLeft, killHard } from "../kit/lifecycle.ts";

const KILLS = 3;

describe("a Temporal worker that is killed again and again", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  it("invariant 1: loses no task and leaves no pod, whenever it is killed", async () => {
    const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    const steps = Array.from({ length: KILLS }, randomFrom(seed)).map((random) => 1 + Math.floor(random * 7));
    try {
      const ids = await stack.submit(4, { frames: 60 });
      let serving = stack.startTemporalWorker();
      for (const step of steps) {
        await killAfterWrites(serving, step, ids.length);
        expect(await serving.exited).toMatchObject({ signal: "SIGKILL" });
        ids.push(...(await stack.submit(2, { frames: 60 })));
        serving = stack.startTemporalWorker();
      }
      await expectDoneOnce(stack, ids);
      await expectNothingLeft(stack);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`CHAOS_SEED=${seed} (kills after ${steps.join(", ")} writes): ${reason}`, { cause: error });
    }
  });

  /** Counts the writes of activities, so that a kill can come directly after one of them. */
  async function killAfterWrites(victim: ManagedProcess, step: number, submitted: number): Promise<void> {
    const before = await countWrites();
    const isDue = async () =>
      (await countWrites()) >= before + step || (await countTasks(stack, "Complete")) === submitted;
    await expect.poll(isDue, { interval: 20 }).toBe(true);
    await killHard(victim);
  }

  async function countWrites(): Promise<number> {
    const [row] = await stack.rows<{ n: number }>("select count(*)::int as n from pool_events");
    return (row?.n ?? 0) + stack.simulator.requests().filter(({ method }) => method !== "GET").length;
  }
});

/** The mulberry32 generator: numbers from 0 to 1, the same sequence for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
