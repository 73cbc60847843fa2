import { expect, it } from "vitest";
import { createFaults } from "../../../src/simulator/faults.ts";

it("A fault for one pod's name leaves the create requests of other pods alone, also those that come first", () => {
  const faults = createFaults();
  faults.add({ on: "create", kind: "mute", podName: "ours", times: 1 });
  faults.add({ on: "create", kind: "no-capacity", times: 1 });
  expect(faults.take("create", "theirs")?.kind).toBe("no-capacity");
  expect(faults.take("create", "theirs")).toBeUndefined();
  expect(faults.take("create", "ours")?.kind).toBe("mute");
  expect(faults.take("create", "ours")).toBeUndefined();
});
