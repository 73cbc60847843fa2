import { expect, it } from "vitest";
import { stopSignal } from "../../../src/worker/stop-signal.ts";

it.for(["SIGTERM", "SIGINT"] as const)("the first %s asks for an end, and no later signal is caught", (signal) => {
  const caught = () => process.listenerCount("SIGTERM") + process.listenerCount("SIGINT");
  const before = caught();
  const stopping = stopSignal();
  expect([stopping.aborted, caught()]).toEqual([false, before + 2]);
  // As the operating system's signal, but only for this file's own listener, which is the newest.
  (process.listeners(signal).at(-1) as () => void)();
  expect([stopping.aborted, caught()]).toEqual([true, before]);
});
