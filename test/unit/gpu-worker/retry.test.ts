import { getEventListeners } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { orAbort } from "../../../src/gpu-worker/abort.ts";
import { QueueError } from "../../../src/gpu-worker/queue/queue-error.ts";
import { withRetry } from "../../../src/gpu-worker/retry.ts";

function unreachable(operation: string) {
  return new QueueError("unreachable", operation, 0, "fetch failed");
}

describe("retrying", () => {
  it("repeats transient failures until one call succeeds", async () => {
    const call = vi.fn().mockRejectedValueOnce(unreachable("x")).mockRejectedValueOnce(unreachable("x"));
    call.mockResolvedValue("done");
    const { signal } = new AbortController();
    await expect(withRetry(call, { signal, firstDelayMs: 1 })).resolves.toBe("done");
    expect(call).toHaveBeenCalledTimes(3);
  });

  it("gives up at once on a definite failure", async () => {
    const call = vi.fn().mockRejectedValue(new QueueError("rejected", "finish_task", 400, "no such object"));
    const { signal } = new AbortController();
    await expect(withRetry(call, { signal })).rejects.toThrow("finish_task failed (HTTP 400): no such object");
    expect(call).toHaveBeenCalledTimes(1);
  });

  it("rejects with the signal's reason when the signal aborts between two calls", async () => {
    const controller = new AbortController();
    const reason = new Error("lease lost");
    const call = vi.fn(async () => {
      setImmediate(() => controller.abort(reason));
      throw unreachable("x");
    });
    await expect(withRetry(call, { signal: controller.signal, firstDelayMs: 60_000 })).rejects.toBe(reason);
    expect(call).toHaveBeenCalledTimes(1);
  });

  it("leaves no listener on a signal that outlives the call", async () => {
    const { signal } = new AbortController();
    await orAbort(Promise.resolve(1), signal);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});
