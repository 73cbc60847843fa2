import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { pino } from "pino";
import { expect, it } from "vitest";
import { createOutboxActivities } from "../../../src/activities/outbox.ts";
import type { OutboxStore } from "../../../src/supabase/outbox-store.ts";

it("the delivery of notifications ends at once when its process is told to stop, and takes no more", async () => {
  const stopping = new AbortController();
  let taken = 0;
  const take: OutboxStore["take"] = async () => {
    taken += 1;
    setImmediate(() => stopping.abort());
    return [];
  };
  const { deliverNotifications } = createOutboxActivities({
    outbox: { take } as unknown as OutboxStore,
    logger: pino({ level: "silent" }),
    // Longer than any test may take.
    pollMs: 600_000,
    stopping: stopping.signal,
    receivers: { allowsPrivate: false },
  });
  const context = { heartbeat: () => undefined, cancellationSignal: new AbortController().signal } as Partial<Context>;
  const counts = await asyncLocalStorage.run(context as Context, async () => await deliverNotifications());
  expect(counts).toEqual({ delivered: 0, failed: 0, dead: 0 });
  expect(taken).toBe(1);
});
