import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { withBeats } from "../../../src/activities/beating.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it.for([
  [10_000, 1_900, 0],
  [10_000, 9_000, 4],
  [2_000, 1_900, 3],
] as const)(
  "an activity with %i ms for a heartbeat that takes %i ms sends %i of them",
  async ([timeoutMs, tookMs, beats]) => {
    const heartbeat = vi.fn();
    const context = { heartbeat, info: { heartbeatTimeoutMs: timeoutMs } } as unknown as Context;
    const { work } = withBeats({
      work: async (ms: number) => await new Promise((done) => setTimeout(done, ms, "done")),
    });
    const working = asyncLocalStorage.run(context, async () => await work(tookMs));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await working).toBe("done");
    expect(heartbeat).toHaveBeenCalledTimes(beats);
  },
);
